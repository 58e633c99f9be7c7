// A picture's patches as rows of a matrix (im2col), for convolutions with few positions and many weights:
//   y[p, kh, kw, c] = x[n, source(oy S + kh), source(ox S + kw), c],  p = (n OH + oy) OW + ox
// source undoes reflection padding by P and nearest upsampling by UP. x [N,H,W,4 C4], y [N OH OW,K,K,4 C4].
// One invocation owns four channels of one tap of one position.
// backward: dx[n,y,x,c] = sum of dy[p, kh, kw, c] over the taps whose source is (y, x), divided by sigma
// where SCALED, in the order of p and taps. PICTURE: dy [N,OH,K,OW,K,4 C4] instead of [N,OH,OW,K,K,4 C4].
// One invocation owns four channels of one pixel.
// needs: flat padding
const N: u32 = 1;
const H: u32 = 1;
const W: u32 = 1;
const C4: u32 = 1;
const OH: u32 = 1;
const OW: u32 = 1;
const K: u32 = 1;
const S: u32 = 1;
const P: u32 = 0;
const UP: u32 = 1;
const PICTURE: bool = false;
const SCALED: bool = false;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> sigma: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// Pixel of the picture that padded coordinate i shows on a side of `size`.
fn source(i: u32, size: u32) -> u32 {
  return u32(padded_source(i32(i) - i32(P), i32(size * UP), 0)) / UP;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * OH * OW * K * K * C4) {
    return;
  }
  let tap = i / C4 % (K * K);
  let p = i / (C4 * K * K);
  let sy = source(p / OW % OH * S + tap / K, H);
  let sx = source(p % OW * S + tap % K, W);
  y[i] = x[((p / (OW * OH) * H + sy) * W + sx) * C4 + i % C4];
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * H * W * C4) {
    return;
  }
  let column = i / C4 % W;
  let row = i / (C4 * W) % H;
  let n = i / (C4 * W * H);
  var sum = vec4f(0);
  for (var vertical = 0u; vertical < OH * K; vertical++) {
    if (source(vertical / K * S + vertical % K, H) != row) {
      continue;
    }
    for (var across = 0u; across < OW * K; across++) {
      if (source(across / K * S + across % K, W) == column) {
        let p = (n * OH + vertical / K) * OW + across / K;
        let row_at = (p * K + vertical % K) * K + across % K;
        let picture_at = (n * OH * K + vertical) * OW * K + across;
        sum += x[select(row_at, picture_at, PICTURE) * C4 + i % C4];
      }
    }
  }
  if (SCALED) {
    sum /= sigma[0];
  }
  y[i] = sum;
}
