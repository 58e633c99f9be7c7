// y = s[0], in every element: spreads a scalar (a gradient of a sum). Each invocation owns one vec4 of y.
// needs: flat
const N4: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < N4) {
    y[i] = vec4f(s[0]);
  }
}
