// Transposed input transform of the Winograd convolution: dd = B dV Bᵀ, the gradient of each tile of 6x6
// padded pixels; overlap.wgsl sums the tiles. Lavin and Gray, arXiv 1509.09308.
// dV[6 i + j][tile][C] -> dd[6 i + j][tile][C]. Six invocations per tile and four channels
// (lib/winogradTile).
// needs: flat quotient winograd winogradTile
@group(0) @binding(1) var<storage, read> dv: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dd: array<vec4f>;

@compute @workgroup_size(LANES, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let item = item_of(flat_index(group, groups, local.x, LANES));
  let inside = item.tile < sizes.tiles;
  let first = first_value(item.tile, item.quad);
  let step = layer_step();
  if (inside) {
    let i = local.y;
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      line[j] = dv[first + (i * SIDE + j) * step];
    }
    line = input_back(line);
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, local.x)] = line[j];
    }
  }
  workgroupBarrier();
  if (inside) {
    let j = local.y;
    let line = input_back(kept_column(j, local.x));
    for (var i = 0u; i < SIDE; i++) {
      dd[first + (i * SIDE + j) * step] = line[i];
    }
  }
}
