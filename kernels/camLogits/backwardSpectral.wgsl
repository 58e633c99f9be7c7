// Gradient of one weight behind camLogits/forward with spectral norm. y[n,h] = <x[n], w> / sigma[k] with
// sigma[k] = u[k] <v[k], w>, k = floor(n CALLS / N), u and v constant, so
//   dw[c] = sum_n dy[n,h] / sigma[k] (x[n,c] - y[n,h] u[k] v[k,c]), n in order.
// dy, y [N,2], x [N,C], sigma, u [CALLS], v [CALLS,C], dw [C]; HEAD is h: 0 gap, 1 gmp. Any N and C.
// ADD: adds to what dw holds.
// One invocation per channel. Both heads in one launch would take more than the 8 buffers every adapter has.
const N: u32 = 1;
const C: u32 = 1;
const CALLS: u32 = 1;
const HEAD: u32 = 0;
const WG: u32 = 64;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> sigma: array<f32>;
@group(0) @binding(4) var<storage, read> u: array<f32>;
@group(0) @binding(5) var<storage, read> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  if (c >= C) {
    return;
  }
  var sum = 0.0;
  if (ADD) {
    sum = dw[c];
  }
  for (var n = 0u; n < N; n++) {
    let k = n * CALLS / N;
    let at = n * 2 + HEAD;
    sum = fma(dy[at] / sigma[k], x[n * C + c] - y[at] * u[k] * v[k * C + c], sum);
  }
  dw[c] = sum;
}
