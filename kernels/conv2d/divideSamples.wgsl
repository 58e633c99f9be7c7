// y = x / sigma[k] for each sample's call k: what a convolution whose kernels divide nothing takes instead of
// x. SIZE: elements of a call's samples. One invocation per element.
// needs: flat
const CALLS: u32 = 1;
const SIZE: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> sigma: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < CALLS * SIZE) {
    y[i] = x[i] / sigma[i / SIZE];
  }
}
