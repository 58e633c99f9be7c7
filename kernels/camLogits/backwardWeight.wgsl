// Gradients of both weights behind camLogits/forward where nothing is divided by sigma:
// dwGap[c] = sum_n dy[n,0] gap[n,c], dwGmp[c] = sum_n dy[n,1] gmp[n,c], n in order.
// dy [N,2], gap, gmp [N,C], dwGap, dwGmp [C]. Any N and C. One invocation per channel.
// ADD_DWGAP, ADD_DWGMP: adds to what that one holds.
const N: u32 = 1;
const C: u32 = 1;
const WG: u32 = 64;
const ADD_DWGAP: bool = false;
const ADD_DWGMP: bool = false;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> gap: array<f32>;
@group(0) @binding(2) var<storage, read> gmp: array<f32>;
@group(0) @binding(3) var<storage, read_write> dwGap: array<f32>;
@group(0) @binding(4) var<storage, read_write> dwGmp: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  if (c >= C) {
    return;
  }
  var a = 0.0;
  var b = 0.0;
  if (ADD_DWGAP) {
    a = dwGap[c];
  }
  if (ADD_DWGMP) {
    b = dwGmp[c];
  }
  for (var n = 0u; n < N; n++) {
    a = fma(dy[n * 2], gap[n * C + c], a);
    b = fma(dy[n * 2 + 1], gmp[n * C + c], b);
  }
  dwGap[c] = a;
  dwGmp[c] = b;
}
