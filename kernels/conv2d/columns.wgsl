// A picture's patches as rows of a matrix (im2col), for convolutions with few positions and many weights:
//   y[p, kh, kw, c] = x[n, source(oy S + kh), source(ox S + kw), c],  p = (n OH + oy) OW + ox
// source undoes reflection padding by P and nearest upsampling by UP. x [N,H,W,4 C4], y [N OH OW,K,K,4 C4].
// One invocation owns four channels of one tap of one position.
// backward: dx[n,y,x,c] = sum of dy[p, kh, kw, c] over the taps whose source is (y, x): for the
// pixel, then its reflections, in the order of the taps. PICTURE: dy is [N,OH,K,OW,K,4 C4] instead of
// [N,OH,OW,K,K,4 C4]. One invocation owns four channels of one pixel.
// needs: flat padding shown
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
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

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

// Sum over the taps of one row of patches: those that see row `vertical` = oy K + kh of the patches' picture.
fn sum_across(n: u32, vertical: u32, column: u32, c: u32) -> vec4f {
  var sum = vec4f(0);
  for (var image = 0u; image < 3 * UP; image++) {
    let at = shown(i32(column * UP + image / 3), image % 3, i32(W * UP), i32(P), 0);
    for (var kw = 0u; at >= 0 && kw < K; kw++) {
      let ox = (u32(at) - kw) / S; // wraps to a large number where kw > at
      if (u32(at) < kw || ox * S + kw != u32(at) || ox >= OW) {
        continue;
      }
      let p = (n * OH + vertical / K) * OW + ox;
      let row_at = (p * K + vertical % K) * K + kw;
      let picture_at = (n * OH * K + vertical) * OW * K + ox * K + kw;
      sum += x[select(row_at, picture_at, PICTURE) * C4 + c];
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
  if (i >= N * H * W * C4) {
    return;
  }
  let column = i / C4 % W;
  let row = i / (C4 * W) % H;
  let n = i / (C4 * W * H);
  var sum = vec4f(0);
  for (var image = 0u; image < 3 * UP; image++) {
    let at = shown(i32(row * UP + image / 3), image % 3, i32(H * UP), i32(P), 0);
    for (var kh = 0u; at >= 0 && kh < K; kh++) {
      let oy = (u32(at) - kh) / S;
      if (u32(at) < kh || oy * S + kh != u32(at) || oy >= OH) {
        continue;
      }
      sum += sum_across(n, oy * K + kh, column, i % C4);
    }
  }
  y[i] = sum;
}
