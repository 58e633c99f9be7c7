// Gradient of weights [CO,K,K,CI] from gatherWeights' partial sums [splits, layers, 4 inQuads, 4 outQuads]:
// the sum over splits and over the `uses` layers whose tap contains the kernel element, in that order.
// One invocation owns one element. Grid: ceil(CI / 8), ceil(CO / 8), K².
struct Unpacking {
  ci: u32,
  co: u32,
  splits: u32,
  layers: u32,
  uses: u32,
  // [K², uses]
  layerOf: array<u32>,
}

@group(0) @binding(0) var<storage, read> unpacking: Unpacking;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  // Lanes run along the output channels, as the partial sums do.
  let ci = group.x * 8 + local.y;
  let co = group.y * 8 + local.x;
  let u = vec4u(unpacking.ci, unpacking.co, unpacking.splits, unpacking.layers);
  if (ci >= u.x || co >= u.y) {
    return;
  }
  let columns = (u.y + 3) / 4 * 4;
  let layerSize = (u.x + 3) / 4 * 4 * columns;
  let at = ci * columns + co;
  var sum = 0.0;
  for (var i = 0u; i < unpacking.uses; i++) {
    let layer = unpacking.layerOf[group.z * unpacking.uses + i];
    for (var s = 0u; s < u.z; s++) {
      sum += x[(s * u.w + layer) * layerSize + at];
    }
  }
  dw[(co * groups.z + group.z) * u.x + ci] = sum;
}
