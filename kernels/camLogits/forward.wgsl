// Class-activation logits: y[n,0] = <gap[n], wGap> / sigmaGap[k], y[n,1] = <gmp[n], wGmp> / sigmaGmp[k] with
// k = floor(n CALLS / N), the power iteration that serves sample n. Without SPECTRAL there is no division.
// gap, gmp [N,C], wGap, wGmp [C], sigmas [CALLS], y [N,2]. Any N and C.
// Workgroup (h, n) owns y[n,h]; lanes are added in lane order.
const N: u32 = 1;
const C: u32 = 1;
const CALLS: u32 = 1;
const SPECTRAL: bool = false;
const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> gap: array<f32>;
@group(0) @binding(1) var<storage, read> gmp: array<f32>;
@group(0) @binding(2) var<storage, read> wGap: array<f32>;
@group(0) @binding(3) var<storage, read> wGmp: array<f32>;
@group(0) @binding(4) var<storage, read> sigmaGap: array<f32>;
@group(0) @binding(5) var<storage, read> sigmaGmp: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

var<workgroup> lanes: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = group.y;
  var sum = 0.0;
  if (group.x == 0) {
    for (var c = lane; c < C; c += WG) {
      sum = fma(gap[n * C + c], wGap[c], sum);
    }
  } else {
    for (var c = lane; c < C; c += WG) {
      sum = fma(gmp[n * C + c], wGmp[c], sum);
    }
  }
  lanes[lane] = sum;
  workgroupBarrier();
  if (lane > 0) {
    return;
  }
  var all = 0.0;
  for (var i = 0u; i < WG; i++) {
    all += lanes[i];
  }
  if (SPECTRAL) {
    let k = n * CALLS / N;
    all /= select(sigmaGmp[k], sigmaGap[k], group.x == 0);
  }
  y[n * 2 + group.x] = all;
}
