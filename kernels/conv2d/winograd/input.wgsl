// Input transform of the Winograd convolution: V = Bᵀ d B for each tile of 6x6 pixels d of the picture
// padded by one reflected pixel; tiles overlap by two. Lavin and Gray, arXiv 1509.09308.
// x [N,H,W,C] -> V[6 i + j][tile][C]. Six invocations per tile and four channels (lib/winogradTile). Pixels
// that only cropped outputs would use count as zero, and so do the tiles that fill up the last part.
// needs: flat winograd winogradTile reflect
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;

// Index of the padded coordinate, -1 where there is none.
fn pixel(padded: u32, size: u32) -> i32 {
  return select(-1, reflect(i32(padded) - 1, i32(size)), padded <= size + 1);
}

@compute @workgroup_size(LANES, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let task = task_of(group, groups, local);
  let i = task.line;
  let position = position_of(task.item);
  let row = pixel(position.y * TILE + i, sizes.height);
  var line: Line;
  for (var j = 0u; j < SIDE; j++) {
    let column = pixel(position.z * TILE + j, sizes.width);
    let start = position.x + u32(max(row, 0)) * sizes.width + u32(max(column, 0));
    let inside = row >= 0 && column >= 0 && task.item < sizes.tiles;
    line[j] = select(vec4f(0), x[start * sizes.quads + task.quad], inside);
  }
  line = input_line(line);
  for (var j = 0u; j < SIDE; j++) {
    kept[at(i, j, task.lane)] = line[j];
  }
  workgroupBarrier();
  if (task.item < sizes.rows * sizes.parts) {
    let j = task.line;
    line = input_line(kept_column(j, task.lane));
    for (var k = 0u; k < SIDE; k++) {
      v[element(task.item, k, j, task.quad)] = line[k];
    }
  }
}
