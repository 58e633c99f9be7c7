// Transposed output transform of the Winograd convolution: dM = A dy Aᵀ. Lavin and Gray, arXiv 1509.09308.
// dy [N,H,W,C] -> dM[6 i + j][tile][C]. Six invocations per tile of 4x4 pixels and four channels
// (lib/winogradTile); pixels outside of the picture and tiles that fill up the last part count as zero.
// needs: flat winograd winogradTile
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dm: array<vec4f>;

@compute @workgroup_size(LANES, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let task = task_of(group, groups, local);
  if (task.line < TILE) {
    let i = task.line;
    let position = position_of(task.item);
    let row = position.y * TILE + i;
    var pixels: Outputs;
    for (var j = 0u; j < TILE; j++) {
      let column = position.z * TILE + j;
      let value = dy[(position.x + row * sizes.width + column) * sizes.quads + task.quad];
      let inside = row < sizes.height && column < sizes.width && task.item < sizes.tiles;
      pixels[j] = select(vec4f(0), value, inside);
    }
    let line = output_back(pixels);
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, task.lane)] = line[j];
    }
  }
  workgroupBarrier();
  if (task.item < sizes.rows * sizes.parts) {
    let j = task.line;
    let column = kept_column(j, task.lane);
    let line = output_back(Outputs(column[0], column[1], column[2], column[3]));
    for (var i = 0u; i < SIDE; i++) {
      dm[element(task.item, i, j, task.quad)] = line[i];
    }
  }
}
