// Transposed input transform of the Winograd convolution: dd = B dV Bᵀ, the gradient of each tile of 6x6
// padded pixels; overlap.wgsl sums the tiles. Lavin and Gray, arXiv 1509.09308.
// dV[6 i + j][tile][C] becomes dd[6 i + j][tile][C] in place, so memory is fetched once, not twice. LINES
// invocations per tile and four channels (lib/winogradTile).
// needs: flat quotient winograd winogradTile
@group(0) @binding(1) var<storage, read_write> dd: array<vec4f>;

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
  for (var i = local.y; inside && i < LINE_COUNT; i += LINES) {
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      line[j] = dd[first + (i * SIDE + j) * step];
    }
    line = input_back(line);
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, local.x)] = line[j];
    }
  }
  lines_done();
  storageBarrier(); // others overwrite what this invocation has read
  for (var j = local.y; inside && j < LINE_COUNT; j += LINES) {
    let line = input_back(kept_column(j, local.x));
    for (var i = 0u; i < SIDE; i++) {
      dd[first + (i * SIDE + j) * step] = line[i];
    }
  }
}
