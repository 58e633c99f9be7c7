// Sum of outer products: dw[o,k] = sum_n dy[n, FIRST + o] x[n,k].
// dy [N,COLUMNS], x [N,K], dw [O,K] (one block of rows of a weight with COLUMNS rows in all); K = 4 K4.
// A lane owns J vec4s of dw, WG apart, in each of R rows: workgroup (t, r) has tile t of columns, rows r R.. .
const N: u32 = 1;
const K4: u32 = 1;
const O: u32 = 1;
const COLUMNS: u32 = 1;
const FIRST: u32 = 0;
const R: u32 = 8;
const J: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * WG * J + lane;
  if (first >= K4) {
    return;
  }
  var sum: array<vec4f, R * J>;
  for (var n = 0u; n < N; n++) {
    var xs: array<vec4f, J>;
    for (var j = 0u; j < J; j++) {
      xs[j] = x[n * K4 + min(first + j * WG, K4 - 1)];
    }
    for (var r = 0u; r < R; r++) {
      let g = vec4f(dy[n * COLUMNS + FIRST + min(group.y * R + r, O - 1)]);
      for (var j = 0u; j < J; j++) {
        sum[r * J + j] = fma(g, xs[j], sum[r * J + j]);
      }
    }
  }
  for (var r = 0u; r < R; r++) {
    for (var j = 0u; j < J; j++) {
      if (group.y * R + r < O && first + j * WG < K4) {
        dw[(group.y * R + r) * K4 + first + j * WG] = sum[r * J + j];
      }
    }
  }
}
