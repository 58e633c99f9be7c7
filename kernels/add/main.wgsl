// y (+)= a + b, elementwise. Each invocation owns one vec4 of y. ADD: adds to what y holds.
// N4: vec4s (buffers are padded to 16 bytes, so the last vec4 always exists).
// needs: flat
const N4: u32 = 1;
const WG: u32 = 64;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N4) {
    return;
  }
  var sum = a[i] + b[i];
  if (ADD) {
    sum += y[i];
  }
  y[i] = sum;
}
