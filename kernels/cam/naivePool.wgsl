// Mean and maximum over pixels as written first: x [N,HW,C] -> gap, gmp, pixel [N,C]. Any C.
// One invocation per element of gap; `pixel` is the first pixel (row-major) that has the maximum,
// or the last that is NaN.
// needs: flat nan
const N: u32 = 1;
const HW: u32 = 1;
const C: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> gap: array<f32>;
@group(0) @binding(2) var<storage, read_write> gmp: array<f32>;
@group(0) @binding(3) var<storage, read_write> pixel: array<u32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * C) {
    return;
  }
  let start = i / C * HW * C + i % C;
  var sum = 0.0;
  var best = x[start];
  var first = 0u;
  for (var p = 0u; p < HW; p++) {
    let value = x[start + p * C];
    sum += value;
    if (value > best || is_nan(vec4f(value)).x) {
      best = value;
      first = p;
    }
  }
  gap[i] = sum / f32(HW);
  gmp[i] = best;
  pixel[i] = first;
}
