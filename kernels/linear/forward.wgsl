// Product with the rows of a matrix, split over K: y[n, FIRST + o] = f(b[FIRST + o] + sum_k x[n,k] w[o,k]).
// x [N,K], w [O,K] (one block of rows of a weight with COLUMNS rows in all), y [N,COLUMNS]; K = 4 K4.
// Workgroup (r, s, z): rows o = r R .. +R, k4 = s STEPS WG .. +STEPS WG, batch n = z NB .. +NB. A lane sums
// every WG-th vec4 of the slice in registers; lanes are added in lane order, so the result is deterministic.
// DONE: there is one slice, so y is written with bias and ACT (0 none, 1 ReLU); else y is the partial
// [SLICES,N,COLUMNS] that linear/finish adds up. Takes 4 R NB WG bytes of workgroup memory.
// needs: nan
const N: u32 = 1;
const K4: u32 = 1;
const O: u32 = 1;
const COLUMNS: u32 = 1;
const FIRST: u32 = 0;
const STEPS: u32 = 1;
const R: u32 = 4;
const NB: u32 = 1;
const WG: u32 = 64;
const DONE: bool = true;
const BIAS: bool = false;
const ACT: u32 = 0;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> part: array<f32, R * NB * WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum: array<vec4f, R * NB>;
  let first = group.y * STEPS * WG + lane;
  let end = min(group.y * STEPS * WG + STEPS * WG, K4);
  for (var k = first; k < end; k += WG) {
    var xs: array<vec4f, NB>;
    for (var n = 0u; n < NB; n++) {
      xs[n] = x[min(group.z * NB + n, N - 1) * K4 + k];
    }
    for (var r = 0u; r < R; r++) {
      let row = w[min(group.x * R + r, O - 1) * K4 + k];
      for (var n = 0u; n < NB; n++) {
        sum[r * NB + n] = fma(row, xs[n], sum[r * NB + n]);
      }
    }
  }
  for (var i = 0u; i < R * NB; i++) {
    part[i * WG + lane] = dot(sum[i], vec4f(1));
  }
  workgroupBarrier();
  for (var i = lane; i < R * NB; i += WG) {
    let o = group.x * R + i / NB;
    let n = group.z * NB + i % NB;
    if (o >= O || n >= N) {
      continue;
    }
    var total = 0.0;
    for (var j = 0u; j < WG; j++) {
      total += part[i * WG + j];
    }
    if (DONE && BIAS) {
      total += b[FIRST + o];
    }
    if (DONE && ACT == 1) {
      total = relu(vec4f(total)).x;
    }
    y[(group.y * N + n) * COLUMNS + FIRST + o] = total;
  }
}
