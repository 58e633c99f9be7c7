// Gradient of cam/naivePool: dx[n,p,c] = dgap[n,c] / HW + (p == pixel[n,c] ? dgmp[n,c] : 0). Any C.
// MEAN, MAX: which of the two gradients there is. One invocation per element of dx.
// needs: flat
const N: u32 = 1;
const HW: u32 = 1;
const C: u32 = 1;
const MEAN: bool = true;
const MAX: bool = true;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dgap: array<f32>;
@group(0) @binding(1) var<storage, read> dgmp: array<f32>;
@group(0) @binding(2) var<storage, read> pixel: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * HW * C) {
    return;
  }
  let nc = i / (HW * C) * C + i % C;
  var sum = 0.0;
  if (MEAN) {
    sum = dgap[nc] / f32(HW);
  }
  if (MAX && pixel[nc] == i / C % HW) {
    sum += dgmp[nc];
  }
  dx[i] = sum;
}
