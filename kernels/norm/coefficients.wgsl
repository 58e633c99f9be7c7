// From the statistics of parts to one scale and shift per (n, c) (U-GAT-IT, arXiv 1907.10830, eq. 1):
//   y = gamma (rho (x - m) rI + (1 - rho) (x - mu) rL) + beta = (x - base) scale + shift
//   rI = 1 / sqrt(vI + EPS), rL = 1 / sqrt(vL + EPS); m, vI of channel (n, c); mu, vL of all channels of n
//   m = base + d,  scale = gamma (rho rI + (1 - rho) rL)
//   shift = gamma (1 - rho) rL (m - mu) + beta - d scale
// Parts join as in Chan, Golub, LeVeque 1979: q = q1 + q2 + (m2 - m1)^2 T1 T2 / (T1 + T2); channels have
// equal counts, so the layer has q = sum over c of q_c + ROWS (m_c - mu)^2. `base` is a float near m, so that
// x - base is exact where it matters; d is the rest of the mean.
// KIND 0 instance norm: rho 1, gamma 1, beta 0, vI = q / ROWS (biased). KIND 1 ILN: rho, gamma, beta [C];
// KIND 2 AdaILN: rho [C], gamma, beta [N, C]; both with the unbiased q / (ROWS - 1) and q / (ROWS C - 1), as
// torch.var. ROWS >= 2. partials [3, PARTS, N, G] (see statistics.wgsl), all parts PER rows but the last.
// One workgroup per sample n; the parts of a group of channels are joined by TEAM invocations: invocation i
// has groups i % APART, i % APART + APART, ..
// needs: total moments teamMoments
const N: u32 = 1;
const ROWS: u32 = 2;
const C: u32 = 4;
const PER: u32 = 2;
const PARTS: u32 = 1;
const KIND: u32 = 0;
const TEAM: u32 = 1;
const WG: u32 = 64;

const G: u32 = (C + 3) / 4;
const EPS: f32 = 1e-5;
// Parts of each member of a team.
const RUN: u32 = (PARTS + TEAM - 1) / TEAM;

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read> rho: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
// [7, N, G]: base, scale, shift, d, rI, m - mu, rL.
@group(0) @binding(4) var<storage, read_write> saved: array<vec4f>;

fn joined(first: u32, end: u32, n: u32, g: u32) -> Statistics {
  let plane = PARTS * N * G;
  var at = (first * N + n) * G + g;
  var s = statistics_of(partials[at], partials[plane + at], partials[2 * plane + at]);
  var count = f32(min(PER, ROWS - first * PER));
  for (var p = first + 1; p < end; p++) {
    at += N * G;
    let rows = f32(min(PER, ROWS - p * PER));
    s = joined_with(s, count, rows, partials[at], partials[plane + at], partials[2 * plane + at]);
    count += rows;
  }
  return s;
}

// Of all rows, to the first member of a team.
fn joined_by_team(local: u32, n: u32, g: u32) -> Statistics {
  let first = local / APART * RUN;
  let end = min(first + RUN, PARTS);
  var s = Statistics();
  var rows = 0u;
  if (g < G && first < end) {
    s = joined(first, end, n, g);
    rows = min(end * PER, ROWS) - first * PER;
  }
  return team_moments(local, s, f32(rows));
}

fn channels(g: u32) -> vec4u {
  return min(g * 4 + vec4u(0, 1, 2, 3), vec4u(C - 1));
}

fn sum_of_valid(v: vec4f, g: u32) -> f32 {
  let valid = select(vec4f(0), v, g * 4 + vec4u(0, 1, 2, 3) < vec4u(C));
  return (valid.x + valid.y) + (valid.z + valid.w);
}

fn write_scale(n: u32, g: u32, mu: f32, rl: f32) {
  let at = n * G + g;
  let d = saved[3 * N * G + at];
  if (KIND == 0) {
    let ri = 1 / sqrt(saved[4 * N * G + at] / f32(ROWS) + EPS);
    saved[N * G + at] = ri;
    saved[2 * N * G + at] = -d * ri;
    saved[4 * N * G + at] = ri;
    return;
  }
  let c = channels(g);
  let w = c + select(0u, n * C, KIND == 2);
  let ratio = vec4f(rho[c.x], rho[c.y], rho[c.z], rho[c.w]);
  let gain = vec4f(gamma[w.x], gamma[w.y], gamma[w.z], gamma[w.w]);
  let bias = vec4f(beta[w.x], beta[w.y], beta[w.z], beta[w.w]);
  let ri = 1 / sqrt(saved[4 * N * G + at] / f32(ROWS - 1) + EPS);
  let off = saved[5 * N * G + at] - mu;
  let scale = gain * (ratio * ri + (1 - ratio) * rl);
  saved[N * G + at] = scale;
  saved[2 * N * G + at] = gain * (1 - ratio) * rl * off + bias - d * scale;
  saved[4 * N * G + at] = ri;
  saved[5 * N * G + at] = off;
  saved[6 * N * G + at] = vec4f(rl);
}

// The first member of a team keeps q and m in `saved`.
@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let n = group.x;
  // Means relative to one number of the sample, so that mu, too, is accurate for large means.
  let pivot = partials[n * G].x + partials[PARTS * N * G + n * G].x;
  var sum = 0.0;
  for (var start = 0u; start < G; start += APART) {
    let g = start + local % APART;
    let s = joined_by_team(local, n, g);
    if (g < G && local < APART) {
      let at = n * G + g;
      saved[at] = s.base;
      saved[3 * N * G + at] = s.d;
      saved[4 * N * G + at] = s.q;
      saved[5 * N * G + at] = (s.base - pivot) + s.d;
      sum += sum_of_valid((s.base - pivot) + s.d, g);
    }
  }
  var mu = 0.0;
  var rl = 0.0;
  if (KIND != 0) {
    mu = total(local, vec2f(sum, 0)).x / f32(C);
    var q = 0.0;
    for (var g = local; g < G; g += WG) {
      let off = saved[(5 * N + n) * G + g] - mu;
      q += sum_of_valid(saved[(4 * N + n) * G + g] + f32(ROWS) * off * off, g);
    }
    rl = 1 / sqrt(total(local, vec2f(q, 0)).x / f32(ROWS * C - 1) + EPS);
  }
  for (var g = local; g < G; g += WG) {
    write_scale(n, g, mu, rl);
  }
}
