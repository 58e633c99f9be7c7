// Input transform of the Winograd convolution: V = Bᵀ d B for each tile of 6x6 pixels d of the picture
// padded by one reflected pixel; tiles overlap by two. Lavin and Gray, arXiv 1509.09308.
// x [N,H,W,C] -> V[6 i + j][tile][C]. LINES invocations per tile and four channels (lib/winogradTile). Pixels
// that only cropped outputs would use count as zero, and so do the tiles that fill up the last part.
// needs: flat quotient winograd winogradTile reflect
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;

// Index of the padded coordinate, -1 where there is none.
fn pixel(padded: u32, size: u32) -> i32 {
  return select(-1, reflect(i32(padded) - 1, i32(size)), padded <= size + 1);
}

@compute @workgroup_size(LANES, LINES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let item = item_of(flat_index(group, groups, local.x, LANES));
  let step = layer_step();
  let to = first_value(item.tile, item.quad);
  let position = position_of(item.tile);
  for (var i = local.y; i < LINE_COUNT; i += LINES) {
    let row = pixel(position.y * TILE + i, sizes.height);
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      let column = pixel(position.z * TILE + j, sizes.width);
      let start = position.x + u32(max(row, 0)) * sizes.width + u32(max(column, 0));
      let inside = row >= 0 && column >= 0 && item.tile < sizes.tiles;
      line[j] = select(vec4f(0), x[start * sizes.quads + item.quad], inside);
    }
    line = input_line(line);
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, local.x)] = line[j];
    }
  }
  lines_done();
  let exists = item.tile < sizes.rows * sizes.parts;
  for (var j = local.y; exists && j < LINE_COUNT; j += LINES) {
    let line = input_line(kept_column(j, local.x));
    for (var k = 0u; k < SIDE; k++) {
      v[to + (k * SIDE + j) * step] = line[k];
    }
  }
}
