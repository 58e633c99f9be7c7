// 2-D convolution (cross-correlation) of a nearest-upsampled, reflection-padded picture, as written first:
//   y[n,oy,ox,co] = f(b[co] + sum_{kh,kw,ci} w[co,kh,kw,ci] * up(x)[n, sy, sx, ci]),
//   sy = r(oy S + kh - P), sx = r(ox S + kw - P),
// with r = reflection and up = nearest upsampling by UP (1 or 2): torch's Upsample, ReflectionPad2d, Conv2d.
// x [N,H,W,CI], w [CO,K,K,CI], y [N,OH,OW,CO]. One invocation per element of the result, no reuse.
// ACT: 0 none, 1 LeakyReLU(SLOPE), 2 ReLU, 3 tanh. P < H*UP and P < W*UP.
// needs: flat reflect nan
const N: u32 = 1;
const H: u32 = 1;
const W: u32 = 1;
const CI: u32 = 1;
const CO: u32 = 1;
const OH: u32 = 1;
const OW: u32 = 1;
const K: u32 = 1;
const S: u32 = 1;
const P: u32 = 0;
const UP: u32 = 1;
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
const WG: u32 = 64;

// forward: x, w, b, y. backwardInput: dy, w, (w), dx. backwardWeight: x, dy, (dy), dw.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn source(o: u32, k: u32, size: u32) -> u32 {
  return u32(reflect(i32(o * S + k) - i32(P), i32(size * UP))) / UP;
}

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * OH * OW * CO) {
    return;
  }
  let co = i % CO;
  let ox = i / CO % OW;
  let oy = i / (CO * OW) % OH;
  let n = i / (CO * OW * OH);
  var sum = 0.0;
  for (var kh = 0u; kh < K; kh++) {
    for (var kw = 0u; kw < K; kw++) {
      let start = ((n * H + source(oy, kh, H)) * W + source(ox, kw, W)) * CI;
      for (var ci = 0u; ci < CI; ci++) {
        sum += a[start + ci] * b[((co * K + kh) * K + kw) * CI + ci];
      }
    }
  }
  if (BIAS) {
    sum += bias[co];
  }
  if (ACT == 1) {
    sum = select(SLOPE * sum, sum, sum > 0);
  } else if (ACT == 2) {
    sum = relu(vec4f(sum)).x;
  } else if (ACT == 3) {
    sum = safe_tanh(vec4f(sum)).x;
  }
  y[i] = sum;
}

// Gradient that output pixels see through padded position (qy, qx).
fn gather(n: u32, qy: i32, qx: i32, ci: u32) -> f32 {
  var sum = 0.0;
  for (var kh = 0; kh < i32(K); kh++) {
    let ty = qy - kh;
    if (ty < 0 || ty % i32(S) != 0 || ty / i32(S) >= i32(OH)) {
      continue;
    }
    for (var kw = 0; kw < i32(K); kw++) {
      let tx = qx - kw;
      if (tx < 0 || tx % i32(S) != 0 || tx / i32(S) >= i32(OW)) {
        continue;
      }
      let start = ((n * OH + u32(ty) / S) * OW + u32(tx) / S) * CO;
      for (var co = 0u; co < CO; co++) {
        sum += a[start + co] * b[((co * K + u32(kh)) * K + u32(kw)) * CI + ci];
      }
    }
  }
  return sum;
}

// The padded positions that show unpadded position u: itself, its mirror at the start, its mirror at the end.
fn mirror(u: i32, which: u32, size: i32) -> i32 {
  if (which == 0) {
    return u + i32(P);
  }
  if (which == 1) {
    return select(-1, i32(P) - u, u >= 1 && u <= i32(P));
  }
  return select(-1, i32(P) + 2 * (size - 1) - u, u <= size - 2 && u >= size - 1 - i32(P));
}

@compute @workgroup_size(WG)
fn backwardInput(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * H * W * CI) {
    return;
  }
  let ci = i % CI;
  let ix = i / CI % W;
  let iy = i / (CI * W) % H;
  let n = i / (CI * W * H);
  var sum = 0.0;
  for (var at = 0u; at < UP * UP * 9; at++) {
    let uy = i32(iy * UP + at / 9 / UP);
    let ux = i32(ix * UP + at / 9 % UP);
    let qy = mirror(uy, at % 9 / 3, i32(H * UP));
    let qx = mirror(ux, at % 3, i32(W * UP));
    if (qy >= 0 && qx >= 0) {
      sum += gather(n, qy, qx, ci);
    }
  }
  y[i] = sum;
}

@compute @workgroup_size(WG)
fn backwardWeight(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= CO * K * K * CI) {
    return;
  }
  let ci = i % CI;
  let kw = i / CI % K;
  let kh = i / (CI * K) % K;
  let co = i / (CI * K * K);
  var sum = 0.0;
  for (var n = 0u; n < N; n++) {
    for (var oy = 0u; oy < OH; oy++) {
      let row = (n * H + source(oy, kh, H)) * W;
      for (var ox = 0u; ox < OW; ox++) {
        sum += a[(row + source(ox, kw, W)) * CI + ci] * b[((n * OH + oy) * OW + ox) * CO + co];
      }
    }
  }
  y[i] = sum;
}
