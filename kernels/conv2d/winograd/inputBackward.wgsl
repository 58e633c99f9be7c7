// Transposed input transform of the Winograd convolution: dd = B dV Bᵀ, the gradient of each tile of 6x6 padded
// pixels; overlap.wgsl sums the tiles. Lavin and Gray, arXiv 1509.09308.
// dV[6 i + j][tile][C] -> dd[6 i + j][tile][C]. One invocation per tile and four channels.
// With lines, sizes, fromTexture and toTexture or fromBuffer and toBuffer. WG: any.
// needs: flat
const WG: u32 = 64;

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
  if (tile >= s.tiles) {
    return;
  }
  let place = place_of(tile);
  let extent = vec2u(s.rows, s.quads);
  var d: array<Line, SIDE>;
  for (var i = 0u; i < SIDE; i++) {
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      line[j] = load(place.first + (i * SIDE + j) * place.step, place.row, quad, extent);
    }
    d[i] = input_back(line);
  }
  for (var j = 0u; j < SIDE; j++) {
    let v = input_back(Line(d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j]));
    for (var i = 0u; i < SIDE; i++) {
      store(place.first + (i * SIDE + j) * place.step, place.row, quad, extent, v[i]);
    }
  }
}
