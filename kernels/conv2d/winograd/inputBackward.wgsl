// Transposed input transform of the Winograd convolution: dd = B dV Bᵀ, the gradient of each tile of 6x6
// padded pixels; overlap.wgsl sums the tiles. Lavin and Gray, arXiv 1509.09308.
// dV[6 i + j][tile][C] -> dd[6 i + j][tile][C]. Six invocations per tile and four channels
// (lib/winogradTile).
// needs: flat winograd winogradTile
@group(0) @binding(1) var<storage, read> dv: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dd: array<vec4f>;

@compute @workgroup_size(LANES, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let task = task_of(group, groups, local);
  let inside = task.item < sizes.tiles;
  if (inside) {
    let i = task.line;
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      line[j] = dv[element(task.item, i, j, task.quad)];
    }
    line = input_back(line);
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, task.lane)] = line[j];
    }
  }
  workgroupBarrier();
  if (inside) {
    let j = task.line;
    let line = input_back(kept_column(j, task.lane));
    for (var i = 0u; i < SIDE; i++) {
      dd[element(task.item, i, j, task.quad)] = line[i];
    }
  }
}
