// Output transform of the Winograd convolution: y = f(Aᵀ M A + b). Lavin and Gray, arXiv 1509.09308.
// M[6 i + j][tile][C] -> y [N,H,W,C]. LINES invocations per tile of 4x4 pixels and four channels
// (lib/winogradTile); the last tiles of a row or column are cropped.
// ACT: 0 none, 1 LeakyReLU(SLOPE), 2 ReLU, 3 tanh.
// needs: flat quotient winograd winogradTile activate nan
// static: BIAS ACT
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;

@group(0) @binding(1) var<storage, read> m: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES, LINES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let item = item_of(flat_index(group, groups, local.x, LANES));
  let inside = item.tile < sizes.tiles;
  let first = first_value(item.tile, item.quad);
  let step = layer_step();
  for (var j = local.y; inside && j < LINE_COUNT; j += LINES) {
    var column: Line;
    for (var i = 0u; i < SIDE; i++) {
      column[i] = m[first + (i * SIDE + j) * step];
    }
    let sums = output_line(column);
    for (var i = 0u; i < TILE; i++) {
      kept[at(i, j, local.x)] = sums[i];
    }
  }
  lines_done();
  let position = position_of(item.tile);
  let column = position.z * TILE;
  let added = select(vec4f(0), bias[item.quad], BIAS);
  let rows = select(0, min(TILE, sizes.height - position.y * TILE), inside);
  for (var i = local.y; i < rows; i += LINES) {
    let sums = output_line(kept_row(i, local.x));
    let start = position.x + (position.y * TILE + i) * sizes.width + column;
    for (var j = 0u; j < min(TILE, sizes.width - column); j++) {
      y[(start + j) * sizes.quads + item.quad] = activate(sums[j] + added, ACT, SLOPE);
    }
  }
}
