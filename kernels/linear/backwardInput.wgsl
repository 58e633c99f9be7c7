// Product with the columns of a matrix: dx[n,k] (+)= sum_o dy[n, FIRST + o] w[o,k].
// dy [N,COLUMNS], w [O,K] (one block of rows of a weight with COLUMNS rows in all), dx [N,K]; K = 4 K4.
// A lane owns J vec4s of dx, WG apart, for NB samples (grid z); workgroup (t, s, z) has the columns of tile t
// and rows s PER .. +PER. With several slices dx is the partial [SLICES,N,K], to be added up in order.
// ADD: adds to what an earlier block of rows left in dx.
const N: u32 = 1;
const K4: u32 = 1;
const O: u32 = 1;
const COLUMNS: u32 = 1;
const FIRST: u32 = 0;
const PER: u32 = 1;
const J: u32 = 1;
const NB: u32 = 1;
const WG: u32 = 64;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * WG * J + lane;
  if (first >= K4) {
    return;
  }
  var at_dy: array<u32, NB>;
  for (var n = 0u; n < NB; n++) {
    at_dy[n] = min(group.z * NB + n, N - 1) * COLUMNS + FIRST;
  }
  var at_w: array<u32, J>;
  for (var j = 0u; j < J; j++) {
    at_w[j] = min(first + j * WG, K4 - 1);
  }
  var sum: array<vec4f, J * NB>;
  let step = K4;
  let end = min(group.y * PER + PER, O);
  for (var o = group.y * PER; o < end; o++) {
    var g: array<f32, NB>;
    for (var n = 0u; n < NB; n++) {
      g[n] = dy[at_dy[n] + o];
    }
    for (var j = 0u; j < J; j++) {
      let row = w[at_w[j] + o * step];
      for (var n = 0u; n < NB; n++) {
        sum[j * NB + n] = fma(vec4f(g[n]), row, sum[j * NB + n]);
      }
    }
  }
  for (var n = 0u; n < NB; n++) {
    let start = (group.y * N + group.z * NB + n) * K4;
    for (var j = 0u; j < J; j++) {
      let k = first + j * WG;
      if (k < K4 && group.z * NB + n < N) {
        if (ADD) {
          dx[start + k] += sum[j * NB + n];
        } else {
          dx[start + k] = sum[j * NB + n];
        }
      }
    }
  }
}
