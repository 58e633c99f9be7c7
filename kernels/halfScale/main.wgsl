// The power of two that brings a tensor's largest absolute value into 2^13 .. 2^14, and its inverse: with it
// 16-bit floats (up to 65504, 24 binary places below 2^-14) hold values down to 2^-38 of the largest.
//   y[0] = 2^(13 - floor(log2(max |x|))), y[1] = 1 / y[0]
// both within 2^-126 .. 2^126, so x = 0 is no exception.
// partial: workgroup g leaves the maximum over its share of x in y[g], g < GROUPS; it owns every GROUPS-th
// run of WG vec4f. main: one workgroup does the rest. N: elements of x, padded to whole vec4f by anything.
const N: u32 = 1;
const GROUPS: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> lanes: array<f32, WG>;

// Largest |x| of a share, to the first invocation.
fn largest(group: u32, local: u32) -> f32 {
  var most = vec4f(0);
  for (var i = group * WG + local; i < (N + 3) / 4; i += GROUPS * WG) {
    let present = vec4u(4 * i) + vec4u(0, 1, 2, 3) < vec4u(N);
    most = max(most, select(vec4f(0), abs(x[i]), present));
  }
  lanes[local] = max(max(most.x, most.y), max(most.z, most.w));
  workgroupBarrier();
  var all = 0.0;
  if (local == 0) {
    for (var i = 0u; i < WG; i++) {
      all = max(all, lanes[i]);
    }
  }
  return all;
}

@compute @workgroup_size(WG)
fn partial(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let most = largest(group.x, local);
  if (local == 0) {
    y[group.x] = most;
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) local: u32) {
  let most = largest(0, local);
  if (local == 0) {
    // Exponents as float32 stores them, 127 more than they are.
    let exponent = bitcast<i32>(most) >> 23;
    let wanted = clamp(127 + 13 - (exponent - 127), 1, 253);
    y[0] = bitcast<f32>(wanted << 23);
    y[1] = bitcast<f32>((254 - wanted) << 23);
  }
}
