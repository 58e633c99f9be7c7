// x = min(max(x, LOW), HIGH), in place; NaN stays NaN (torch.clamp). One invocation per element.
// COUNT: elements.
// needs: flat nan
const COUNT: u32 = 1;
const LOW: f32 = 0.0;
const HIGH: f32 = 1.0;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < COUNT) {
    let v = x[i];
    x[i] = select(clamp(v, LOW, HIGH), v, is_nan(vec4f(v)).x);
  }
}
