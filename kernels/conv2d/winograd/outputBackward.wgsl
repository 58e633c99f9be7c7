// Transposed output transform of the Winograd convolution: dM = A dy Aᵀ. Lavin and Gray, arXiv 1509.09308.
// dy [N,H,W,C] -> dM[6 i + j][tile][C]. One invocation per tile of 4x4 pixels and four channels; pixels outside
// of the picture and tiles that fill up the last part count as zero.
// With lines, sizes, and toTexture or toBuffer. WG: any.
// needs: flat
const WG: u32 = 64;

@group(0) @binding(1) var<storage, read> dy: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let s = sizes;
  let at = flat_index(group, groups, local, WG);
  let quad = at % s.quads;
  let tile = at / s.quads;
  if (tile >= s.rows * s.parts) {
    return;
  }
  let position = position_of(tile);
  var d: array<Line, TILE>;
  for (var i = 0u; i < TILE; i++) {
    let row = position.y * TILE + i;
    var line: Outputs;
    for (var j = 0u; j < TILE; j++) {
      let column = position.z * TILE + j;
      let value = dy[(position.x + row * s.width + column) * s.quads + quad];
      line[j] = select(vec4f(0), value, row < s.height && column < s.width && tile < s.tiles);
    }
    d[i] = output_back(line);
  }
  let place = place_of(tile);
  for (var j = 0u; j < SIDE; j++) {
    let v = output_back(Outputs(d[0][j], d[1][j], d[2][j], d[3][j]));
    for (var i = 0u; i < SIDE; i++) {
      store(place.first + (i * SIDE + j) * place.step, place.row, quad, vec2u(s.rows, s.quads), v[i]);
    }
  }
}
