// Transposed weight transform of the Winograd convolution: dw (+)= Gᵀ (sum over parts of dU) G.
// Lavin and Gray, arXiv 1509.09308. dU[(6 i + j) parts + part][CO][C] -> dw [CO,3,3,C]. Six invocations per
// output channel and four input channels (lib/winogradTile). Sizes: `rows` is CO. ADD: adds to what dw
// holds.
// needs: flat winograd winogradTile
const ADD: bool = false;

@group(0) @binding(1) var<storage, read> du: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(LANES, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let task = task_of(group, groups, local);
  let inside = task.item < sizes.rows;
  if (inside) {
    let j = task.line;
    var column = Line();
    for (var part = 0u; part < sizes.parts; part++) {
      for (var i = 0u; i < SIDE; i++) {
        let layer = (i * SIDE + j) * sizes.parts + part;
        column[i] += du[(layer * sizes.rows + task.item) * sizes.quads + task.quad];
      }
    }
    let taps = weight_back(column);
    for (var i = 0u; i < 3; i++) {
      kept[at(i, j, task.lane)] = taps[i];
    }
  }
  workgroupBarrier();
  if (inside && task.line < 3) {
    let i = task.line;
    let taps = weight_back(kept_row(i, task.lane));
    for (var j = 0u; j < 3; j++) {
      let to = (task.item * 9 + i * 3 + j) * sizes.quads + task.quad;
      var sum = taps[j];
      if (ADD) {
        sum += dw[to];
      }
      dw[to] = sum;
    }
  }
}
