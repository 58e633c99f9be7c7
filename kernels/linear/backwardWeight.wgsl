// Sum of outer products: dw[o,k] (+)= sum_n dy[n, FIRST + o] x[n,k], over the samples n = START .. +NB.
// dy [N,COLUMNS], x [N,K], dw [O,K] (one block of rows of a weight with COLUMNS rows in all); K = 4 K4.
// A lane owns J vec4s of dw, WG apart, in each of PER rows: workgroup (t, r) has tile t of columns and rows
// r PER .. +PER, and keeps its x in registers. ADD: adds to what earlier samples left in dw.
// CALLS > 0: dw is that of a weight under spectral norm, which gets + sum_c dsigma[c] u[c,o] v[c,k] too, as
// if there were CALLS more samples; u [CALLS,O], v [CALLS,K].
const K4: u32 = 1;
const O: u32 = 1;
const COLUMNS: u32 = 1;
const FIRST: u32 = 0;
const START: u32 = 0;
const NB: u32 = 1;
const PER: u32 = 8;
const J: u32 = 1;
const WG: u32 = 64;
const ADD: bool = false;
const CALLS: u32 = 0;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dsigma: array<f32>;
@group(0) @binding(3) var<storage, read> u: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * WG * J + lane;
  if (first >= K4) {
    return;
  }
  var xs: array<vec4f, (NB + CALLS) * J>;
  for (var n = 0u; n < NB; n++) {
    for (var j = 0u; j < J; j++) {
      xs[n * J + j] = x[(START + n) * K4 + min(first + j * WG, K4 - 1)];
    }
  }
  for (var c = 0u; c < CALLS; c++) {
    for (var j = 0u; j < J; j++) {
      xs[(NB + c) * J + j] = dsigma[c] * v[c * K4 + min(first + j * WG, K4 - 1)];
    }
  }
  let end = min(group.y * PER + PER, O);
  for (var o = group.y * PER; o < end; o++) {
    // Written out: without it, Dawn 0.6.2 keeps the sums of the row before on Vulkan.
    var sum = array<vec4f, J>();
    for (var n = 0u; n < NB; n++) {
      let g = vec4f(dy[(START + n) * COLUMNS + FIRST + o]);
      for (var j = 0u; j < J; j++) {
        sum[j] = fma(g, xs[n * J + j], sum[j]);
      }
    }
    for (var c = 0u; c < CALLS; c++) {
      let g = vec4f(u[c * O + o]);
      for (var j = 0u; j < J; j++) {
        sum[j] = fma(g, xs[(NB + c) * J + j], sum[j]);
      }
    }
    for (var j = 0u; j < J; j++) {
      let k = first + j * WG;
      if (k < K4) {
        if (ADD) {
          sum[j] += dw[o * K4 + k];
        }
        dw[o * K4 + k] = sum[j];
      }
    }
  }
}
