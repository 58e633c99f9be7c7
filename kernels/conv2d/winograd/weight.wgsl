// Weight transform of the Winograd convolution: U = G g Gᵀ. Lavin and Gray, arXiv 1509.09308.
// w [CO,3,3,C] -> U[6 i + j][CO][C]. LINES invocations per output channel and four input channels
// (lib/winogradTile). Sizes: `rows` is CO and `parts` 1.
// needs: flat quotient winograd winogradTile
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> u: array<vec4f>;

@compute @workgroup_size(LANES, LINES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let item = item_of(flat_index(group, groups, local.x, LANES));
  let step = layer_step();
  let to = first_value(item.tile, item.quad);
  let inside = item.tile < sizes.rows;
  for (var i = local.y; inside && i < TAP_COUNT; i += LINES) {
    let start = (item.tile * 9 + i * 3) * sizes.quads + item.quad;
    let line = weight_line(Taps(w[start], w[start + sizes.quads], w[start + 2 * sizes.quads]));
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, local.x)] = line[j];
    }
  }
  lines_done();
  for (var j = local.y; inside && j < LINE_COUNT; j += LINES) {
    let column = kept_column(j, local.x);
    let line = weight_line(Taps(column[0], column[1], column[2]));
    for (var i = 0u; i < SIDE; i++) {
      u[to + (i * SIDE + j) * step] = line[i];
    }
  }
}
