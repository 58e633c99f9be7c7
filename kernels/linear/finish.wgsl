// Adds the slices of linear/forward up, in their order: y[n,o] = f(b[o] + sum_s part[s,n,o]).
// part [SLICES,N,O], y [N,O], NO = N O. ACT: 0 none, 1 ReLU. One invocation per element of y.
// needs: flat nan
const NO: u32 = 1;
const O: u32 = 1;
const SLICES: u32 = 1;
const BIAS: bool = false;
const ACT: u32 = 0;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> part: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= NO) {
    return;
  }
  var sum = 0.0;
  for (var s = 0u; s < SLICES; s++) {
    sum += part[s * NO + i];
  }
  if (BIAS) {
    sum += b[i % O];
  }
  if (ACT == 1) {
    sum = relu(vec4f(sum)).x;
  }
  y[i] = sum;
}
