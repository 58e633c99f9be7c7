// y += x, elementwise, in place: a gradient that comes in pieces. Each invocation owns one vec4 of y.
// N4: vec4s (buffers are padded to 16 bytes, so the last vec4 always exists).
// needs: flat
const N4: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

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
  y[i] += x[i];
}
