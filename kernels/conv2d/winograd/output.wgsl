// Output transform of the Winograd convolution: y = f(Aᵀ M A + b). Lavin and Gray, arXiv 1509.09308.
// M[6 i + j][tile][C] -> y [N,H,W,C]. Six invocations per tile of 4x4 pixels and four channels
// (lib/winogradTile); the last tiles of a row or column are cropped.
// ACT: 0 none, 1 LeakyReLU(SLOPE), 2 ReLU, 3 tanh.
// needs: flat winograd winogradTile activate
// static: BIAS ACT
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;

@group(0) @binding(1) var<storage, read> m: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let task = task_of(group, groups, local);
  let inside = task.item < sizes.tiles;
  if (inside) {
    let j = task.line;
    var column: Line;
    for (var i = 0u; i < SIDE; i++) {
      column[i] = m[element(task.item, i, j, task.quad)];
    }
    let sums = output_line(column);
    for (var i = 0u; i < TILE; i++) {
      kept[at(i, j, task.lane)] = sums[i];
    }
  }
  workgroupBarrier();
  let position = position_of(task.item);
  let row = position.y * TILE + task.line;
  if (inside && task.line < TILE && row < sizes.height) {
    let sums = output_line(kept_row(task.line, task.lane));
    let added = select(vec4f(0), bias[task.quad], BIAS);
    let column = position.z * TILE;
    let start = position.x + row * sizes.width + column;
    for (var j = 0u; j < min(TILE, sizes.width - column); j++) {
      y[(start + j) * sizes.quads + task.quad] = activate(sums[j] + added, ACT, SLOPE);
    }
  }
}
