// Instance norm of a small picture in one launch: y = f((x - m) rI) + residual with m and vI = q / ROWS of
// each channel of each sample, rI = 1 / sqrt(vI + EPS); f is max(., 0) with RELU, else the identity.
// Statistics as in statistics.wgsl and coefficients.wgsl: blocks of BLOCK rows around a reference near their
// mean, joined in order (Chan, Golub, LeVeque 1979). x, residual, y [N, ROWS, C], C = 4 G. saved [4, N, G]
// for the way back: base, rI, -d rI, d with m = base + d.
// One invocation owns four channels of one sample and reads them twice. Without RESIDUAL, binding 1 is not
// read.
// needs: flat moments
const N: u32 = 1;
const ROWS: u32 = 2;
const G: u32 = 1;
const RELU: bool = false;
const RESIDUAL: bool = false;
const WG: u32 = 64;

const EPS: f32 = 1e-5;
const BLOCK: u32 = 64;
const LEAD: u32 = 4;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> residual: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// Of `rows` rows from vec4 `first` on, with a reference near their mean as the base.
fn block(first: u32, rows: u32) -> Statistics {
  let lead = min(LEAD, rows);
  var k = vec4f(0);
  for (var r = 0u; r < lead; r++) {
    k += x[first + r * G];
  }
  k /= f32(lead);
  var sum = vec4f(0);
  var squares = vec4f(0);
  var e = first;
  for (var r = 0u; r < rows; r++) {
    let v = x[e] - k;
    sum += v;
    squares += v * v;
    e += G;
  }
  let d = sum / f32(rows);
  return Statistics(k, d, max(squares - sum * d, vec4f(0)));
}

fn statistics(first: u32) -> Statistics {
  var count = f32(min(BLOCK, ROWS));
  let start = block(first, min(BLOCK, ROWS));
  var s = statistics_of(start.base, start.d, start.q);
  for (var row = BLOCK; row < ROWS; row += BLOCK) {
    let rows = f32(min(BLOCK, ROWS - row));
    let next = block(first + row * G, min(BLOCK, ROWS - row));
    s = joined_with(s, count, rows, next.base, next.d, next.q);
    count += rows;
  }
  return s;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let t = flat_index(group, groups, local, WG);
  if (t >= N * G) {
    return;
  }
  var e = t / G * ROWS * G + t % G;
  let s = statistics(e);
  let scale = 1 / sqrt(s.q / f32(ROWS) + EPS);
  let shift = -s.d * scale;
  saved[t] = s.base;
  saved[N * G + t] = scale;
  saved[2 * N * G + t] = shift;
  saved[3 * N * G + t] = s.d;
  for (var r = 0u; r < ROWS; r++) {
    var v = fma(x[e] - s.base, scale, shift);
    if (RELU) {
      v = max(v, vec4f(0));
    }
    if (RESIDUAL) {
      v += residual[e];
    }
    y[e] = v;
    e += G;
  }
}
