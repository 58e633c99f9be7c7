// Input transform of the Winograd convolution: V = Bᵀ d B for each tile of 6x6 pixels d of the picture
// padded by one reflected pixel; tiles overlap by two. Lavin and Gray, arXiv 1509.09308.
// x [N,H,W,C] -> V[6 i + j][tile][C]. One invocation per tile and four channels; pixels that only cropped
// outputs would use count as zero, and so do the tiles that fill up the last part.
// With lines, sizes, and toTexture or toBuffer. WG: any.
// needs: flat reflect
const WG: u32 = 64;

@group(0) @binding(1) var<storage, read> x: array<vec4f>;

// Index of the padded coordinate `at`, -1 where there is none.
fn pixel(at: u32, size: u32) -> i32 {
  return select(-1, reflect(i32(at) - 1, i32(size)), at <= size + 1);
}

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
  var d: array<Line, SIDE>;
  for (var i = 0u; i < SIDE; i++) {
    let y = pixel(position.y * TILE + i, s.height);
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      let column = pixel(position.z * TILE + j, s.width);
      let value = x[(position.x + u32(max(y, 0)) * s.width + u32(max(column, 0))) * s.quads + quad];
      line[j] = select(vec4f(0), value, y >= 0 && column >= 0 && tile < s.tiles);
    }
    d[i] = input_line(line);
  }
  let place = place_of(tile);
  for (var j = 0u; j < SIDE; j++) {
    let v = input_line(Line(d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j]));
    for (var i = 0u; i < SIDE; i++) {
      store(place.first + (i * SIDE + j) * place.step, place.row, quad, vec2u(s.rows, s.quads), v[i]);
    }
  }
}
