// Transposed output transform of the Winograd convolution: dM = A dy Aᵀ. Lavin and Gray, arXiv 1509.09308.
// dy [N,H,W,C] -> dM[6 i + j][tile][C]. LINES invocations per tile of 4x4 pixels and four channels
// (lib/winogradTile); pixels outside of the picture and tiles that fill up the last part count as zero.
// needs: flat quotient winograd winogradTile
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dm: array<vec4f>;

@compute @workgroup_size(LANES, LINES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let item = item_of(flat_index(group, groups, local.x, LANES));
  let step = layer_step();
  let to = first_value(item.tile, item.quad);
  let position = position_of(item.tile);
  for (var i = local.y; i < PIXEL_COUNT; i += LINES) {
    let row = position.y * TILE + i;
    var pixels: Outputs;
    for (var j = 0u; j < TILE; j++) {
      let column = position.z * TILE + j;
      let value = dy[(position.x + row * sizes.width + column) * sizes.quads + item.quad];
      let inside = row < sizes.height && column < sizes.width && item.tile < sizes.tiles;
      pixels[j] = select(vec4f(0), value, inside);
    }
    let line = output_back(pixels);
    for (var j = 0u; j < SIDE; j++) {
      kept[at(i, j, local.x)] = line[j];
    }
  }
  lines_done();
  let exists = item.tile < sizes.rows * sizes.parts;
  for (var j = local.y; exists && j < LINE_COUNT; j += LINES) {
    let column = kept_column(j, local.x);
    let line = output_back(Outputs(column[0], column[1], column[2], column[3]));
    for (var i = 0u; i < SIDE; i++) {
      dm[to + (i * SIDE + j) * step] = line[i];
    }
  }
}
