// Attention folded into the 1x1 convolution behind it: sum_c W[o,c] wGap[c] x[c] + W[o,C+c] wGmp[c] x[c]
// equals a convolution of x with y[o,c] = W[o,c] wGap[c] + W[o,C+c] wGmp[c]. W [O,2C], y [O,C]. Any C.
// An invocation owns column c of PER rows.
// needs: flat
const O: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read> gap: array<f32>;
@group(0) @binding(2) var<storage, read> gmp: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  let c = i % C;
  let first = i / C * PER;
  let a = gap[c];
  let b = gmp[c];
  let end = min(first + PER, O);
  let step = C;
  var left = first * 2 * step + c;
  for (var o = first; o < end; o++) {
    y[o * step + c] = w[left] * a + w[left + step] * b;
    left += 2 * step;
  }
}
