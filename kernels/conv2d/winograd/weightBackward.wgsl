// Transposed weight transform of the Winograd convolution: dw (+)= Gᵀ (sum over parts of dU) G.
// Lavin and Gray, arXiv 1509.09308. dU[(6 i + j) parts + part][CO][C] -> dw [CO,3,3,C]. LINES invocations per
// output channel and four input channels (lib/winogradTile). Sizes: `rows` is CO. ADD: adds to what dw
// holds.
// needs: flat quotient winograd winogradTile
const ADD: bool = false;

@group(0) @binding(1) var<storage, read> du: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(LANES, LINES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let item = item_of(flat_index(group, groups, local.x, LANES));
  let inside = item.tile < sizes.rows;
  let step = layer_step();
  for (var j = local.y; inside && j < LINE_COUNT; j += LINES) {
    var column = Line();
    for (var part = 0u; part < sizes.parts; part++) {
      let first = first_value(part * sizes.rows + item.tile, item.quad);
      for (var i = 0u; i < SIDE; i++) {
        column[i] += du[first + (i * SIDE + j) * step];
      }
    }
    let taps = weight_back(column);
    for (var i = 0u; i < 3; i++) {
      kept[at(i, j, local.x)] = taps[i];
    }
  }
  lines_done();
  for (var i = local.y; inside && i < TAP_COUNT; i += LINES) {
    let taps = weight_back(kept_row(i, local.x));
    for (var j = 0u; j < 3; j++) {
      let to = (item.tile * 9 + i * 3 + j) * sizes.quads + item.quad;
      var sum = taps[j];
      if (ADD) {
        sum += dw[to];
      }
      dw[to] = sum;
    }
  }
}
