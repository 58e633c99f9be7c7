// Gradient of weights [CO,K,K,CI] from gatherWeights' partial sums: for each kernel element the sum over
// splits and over its `uses` places (taps of classes that contain it), in that order. A place is the offset
// of the element's (co = 0, ci = 0) in one split's sums; rows of co are `stepCo` apart.
// CALLS > 0: the weight is under spectral norm, and dw gets + sum_k dsigma[k] u[k,co] v[k,element] too; u
// [CALLS,CO], v [CALLS,K,K,CI].
// One invocation owns one element. Grid: ceil(CI / 8), ceil(CO / 8), K². Lanes run along CI, as both sides
// do. ADD: adds to what dw holds.
// quads: four elements an invocation, where CI is a multiple of 4. Grid: CO CI / 4 invocations in
// x and y, K².
// needs: flat quotient
struct Unpacking {
  ci: u32,
  co: u32,
  splits: u32,
  splitSize: u32,
  stepCo: u32,
  uses: u32,
  // [K², uses]
  places: array<u32>,
}

const CALLS: u32 = 0;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> unpacking: Unpacking;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dsigma: array<f32>;
@group(0) @binding(3) var<storage, read> u: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> dw: array<f32>;

@group(0) @binding(1) var<storage, read> x_quads: array<vec4f>;
@group(0) @binding(4) var<storage, read> v_quads: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dw_quads: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let ci = group.x * 8 + local.x;
  let co = group.y * 8 + local.y;
  if (ci >= unpacking.ci || co >= unpacking.co) {
    return;
  }
  let at = co * unpacking.stepCo + ci;
  var sum = 0.0;
  for (var i = 0u; i < unpacking.uses; i++) {
    let place = unpacking.places[group.z * unpacking.uses + i] + at;
    for (var s = 0u; s < unpacking.splits; s++) {
      sum += x[s * unpacking.splitSize + place];
    }
  }
  for (var k = 0u; k < CALLS; k++) {
    let element = (k * groups.z + group.z) * unpacking.ci + ci;
    sum = fma(dsigma[k] * u[k * unpacking.co + co], v[element], sum);
  }
  let to = (co * groups.z + group.z) * unpacking.ci + ci;
  if (ADD) {
    sum += dw[to];
  }
  dw[to] = sum;
}

@compute @workgroup_size(64)
fn quads(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = unpacking.ci / 4;
  let index = flat_index(group, groups, local, 64);
  let co = quotient(index, row);
  if (co >= unpacking.co) {
    return;
  }
  let quad = index - co * row;
  var sum = vec4f(0);
  for (var i = 0u; i < unpacking.uses; i++) {
    let place = unpacking.places[group.z * unpacking.uses + i] + co * unpacking.stepCo;
    for (var s = 0u; s < unpacking.splits; s++) {
      sum += x_quads[(s * unpacking.splitSize + place) / 4 + quad];
    }
  }
  for (var k = 0u; k < CALLS; k++) {
    let element = (k * groups.z + group.z) * row + quad;
    sum = fma(vec4f(dsigma[k] * u[k * unpacking.co + co]), v_quads[element], sum);
  }
  let to = (co * groups.z + group.z) * row + quad;
  if (ADD) {
    sum += dw_quads[to];
  }
  dw_quads[to] = sum;
}
