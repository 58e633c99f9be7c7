// The sums of a convolution with few output channels, or of the input gradient of one with few input
// channels. A product has multiplied every position of the other side by every tap: z, a plane a tap and
// thin channel.
//   main:     y[n,oy,ox,c] = f(bias[c] + sum over kh, kw of z[c, kh, kw, n, sy, sx]), whose pixel (sy, sx)
//             the tap sees (lib/taps.wgsl); z [C,K,K,N,H,W], y [N,OH,OW,C]
//   backward: dx[n,y,x,c] = sum of z[kh, kw, c, n, oy, ox] over all taps and outputs that see (y, x), image
//             by image, in the order of the taps; z [K,K,C,N,OH,OW], dx [N,H,W,C]
// ACT as in lib/activate.wgsl. One invocation owns one element of the result; neighbours own neighbouring
// pixels of a channel, since that is how the planes lie.
// needs: activate flat nan padding shown taps
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= OUTPUTS * C) {
    return;
  }
  let c = i / OUTPUTS;
  let p = i % OUTPUTS;
  let oy = p / OW % OH;
  let ox = p % OW;
  let n = p / (OW * OH);
  var sum = 0.0;
  for (var kh = 0u; kh < K; kh++) {
    let row = (n * H + seen(oy, kh, H)) * W;
    for (var kw = 0u; kw < K; kw++) {
      sum += z[((c * K + kh) * K + kw) * PIXELS + row + seen(ox, kw, W)];
    }
  }
  if (BIAS) {
    sum += bias[c];
  }
  y[p * C + c] = activate(vec4f(sum), ACT, SLOPE).x;
}

// Sum over the taps of row kh, for a pixel of column x, from row `row` of the outputs.
fn sum_across(kh: u32, row: u32, x: u32, c: u32) -> f32 {
  var sum = 0.0;
  let count = images(x, W);
  for (var i = 0u; i < count; i++) {
    let at = image(x, i, W);
    // Every S-th tap meets an output.
    for (var kw = u32(max(at, 0)) % S; kw < K; kw += S) {
      let ox = output_at(at, kw, OW);
      if (ox >= 0) {
        sum += z[((kh * K + kw) * C + c) * OUTPUTS + row * OW + u32(ox)];
      }
    }
  }
  return sum;
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= PIXELS * C) {
    return;
  }
  let c = i / PIXELS;
  let p = i % PIXELS;
  let row = p / W % H;
  let n = p / (W * H);
  var sum = 0.0;
  let count = images(row, H);
  for (var j = 0u; j < count; j++) {
    let at = image(row, j, H);
    for (var kh = u32(max(at, 0)) % S; kh < K; kh += S) {
      let oy = output_at(at, kh, OH);
      if (oy >= 0) {
        sum += sum_across(kh, n * OH + u32(oy), p % W, c);
      }
    }
  }
  y[p * C + c] = sum;
}
