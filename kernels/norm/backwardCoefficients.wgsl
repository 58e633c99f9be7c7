// From the sums of parts to the parameters' gradients and to dx = a g + b (x - base) + c per (n, c).
// Notation of coefficients.wgsl; M = ROWS, L = ROWS C; S1 = sum g, S2 = sum g (x - m) over the pixels of
// (n, c). d rI / d x_j = -rI^3 (x_j - m) / D with D the variance's divisor (M for instance norm, M - 1 else),
// likewise rL with L - 1, and x - mu = (x - m) + off, off = m - mu. gamma g enters both normalisations, so
//   G1 = sum over c of gamma (1 - rho) S1,  G2 = sum over c of gamma (1 - rho) (S2 + off S1)   (per sample)
//   dx = gamma (rho rI + (1 - rho) rL) g - (gamma rho rI^3 S2 / D + rL^3 G2 / (L - 1)) (x - m)
//        - gamma rho rI S1 / M - rL G1 / L - off rL^3 G2 / (L - 1)
//   dgamma = (rho rI + (1 - rho) rL) S2 + (1 - rho) rL off S1,   dbeta = S1,
//   drho = gamma ((rI - rL) S2 - rL off S1),   summed over n where the parameter is [C].
// KIND as in coefficients.wgsl; KIND 0 leaves dgamma, dbeta, drho alone. PER (rows a part) is not used.
// ADD_DRHO, ADD_DGAMMA, ADD_DBETA: adds to what that one holds.
// One workgroup, which takes the samples in order; who owns which groups of channels and how TEAM invocations
// share their parts is as in coefficients.wgsl.
// needs: total team
const N: u32 = 1;
const ROWS: u32 = 2;
const C: u32 = 4;
const PER: u32 = 2;
const PARTS: u32 = 1;
const KIND: u32 = 0;
const TEAM: u32 = 1;
const WG: u32 = 64;
const ADD_DRHO: bool = false;
const ADD_DGAMMA: bool = false;
const ADD_DBETA: bool = false;

const G: u32 = (C + 3) / 4;
const RUN: u32 = (PARTS + TEAM - 1) / TEAM;

// [2, PARTS, N, G]: s1 = sum g, s2 = sum g (x - base).
@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read> saved: array<vec4f>;
@group(0) @binding(2) var<storage, read> rho: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
// [3, N, G]: a, b, c.
@group(0) @binding(4) var<storage, read_write> coefs: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> drho: array<f32>;
@group(0) @binding(6) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(7) var<storage, read_write> dbeta: array<f32>;

// S1, and sum g (x - base).
alias Share = mat2x4f;

// Over all parts, to the first member of a team.
fn joined(local: u32, n: u32, g: u32) -> Share {
  let first = local / APART * RUN;
  let end = select(0, min(first + RUN, PARTS), g < G);
  var s = Share();
  for (var p = first; p < end; p++) {
    s[0] += partials[(p * N + n) * G + g];
    s[1] += partials[((PARTS + p) * N + n) * G + g];
  }
  return team_sum(local, s);
}

fn saved_at(plane: u32, n: u32, g: u32) -> vec4f {
  return saved[(plane * N + n) * G + g];
}

fn channels(g: u32) -> vec4u {
  return min(g * 4 + vec4u(0, 1, 2, 3), vec4u(C - 1));
}

fn ratio(g: u32) -> vec4f {
  let c = channels(g);
  return vec4f(rho[c.x], rho[c.y], rho[c.z], rho[c.w]);
}

fn gain(n: u32, g: u32) -> vec4f {
  let w = channels(g) + select(0u, n * C, KIND == 2);
  return vec4f(gamma[w.x], gamma[w.y], gamma[w.z], gamma[w.w]);
}

fn sum_of_valid(v: vec4f, g: u32) -> f32 {
  let valid = select(vec4f(0), v, g * 4 + vec4u(0, 1, 2, 3) < vec4u(C));
  return (valid.x + valid.y) + (valid.z + valid.w);
}

fn write_gradients(n: u32, g: u32, to_rho: vec4f, to_gamma: vec4f, to_beta: vec4f) {
  for (var j = 0u; j < min(4u, C - g * 4); j++) {
    let c = g * 4 + j;
    let first = n == 0 || KIND == 2;
    let w = select(c, n * C + c, KIND == 2);
    drho[c] = to_rho[j] + select(drho[c], 0.0, n == 0 && !ADD_DRHO);
    dgamma[w] = to_gamma[j] + select(dgamma[w], 0.0, first && !ADD_DGAMMA);
    dbeta[w] = to_beta[j] + select(dbeta[w], 0.0, first && !ADD_DBETA);
  }
}

// Keeps S1 and S2 of (n, g) in the planes of a and b. Returns their share of G1 and G2.
fn keep_sums(n: u32, g: u32, s1: vec4f, s2: vec4f) -> vec2f {
  coefs[n * G + g] = s1;
  coefs[(N + n) * G + g] = s2;
  if (KIND == 0) {
    return vec2f(0);
  }
  let w = gain(n, g) * (1 - ratio(g));
  return vec2f(sum_of_valid(w * s1, g), sum_of_valid(w * (s2 + saved_at(5, n, g) * s1), g));
}

// Replaces S1 and S2 of (n, g), kept in the planes of a and b, by a, b and c; layer = (G1, G2).
fn write_coefs(n: u32, g: u32, layer: vec2f) {
  let s1 = coefs[n * G + g];
  let s2 = coefs[(N + n) * G + g];
  let d = saved_at(3, n, g);
  let ri = saved_at(4, n, g);
  var a = ri;
  var b = -ri * ri * ri * s2 / f32(ROWS);
  var c = -ri * s1 / f32(ROWS);
  if (KIND != 0) {
    let r = ratio(g);
    let w = gain(n, g);
    let off = saved_at(5, n, g);
    let rl = saved_at(6, n, g);
    let toward_layer = rl * rl * rl * (layer.y / f32(ROWS * C - 1));
    let both = r * ri + (1 - r) * rl;
    a = w * both;
    b = -w * r * ri * ri * ri * s2 / f32(ROWS - 1) - toward_layer;
    c = -w * r * ri * s1 / f32(ROWS) - rl * (layer.x / f32(ROWS * C)) - off * toward_layer;
    write_gradients(n, g, w * ((ri - rl) * s2 - rl * off * s1), both * s2 + (1 - r) * rl * off * s1, s1);
  }
  coefs[n * G + g] = a;
  coefs[(N + n) * G + g] = b;
  coefs[(2 * N + n) * G + g] = c - b * d;
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) local: u32) {
  for (var n = 0u; n < N; n++) {
    var own = vec2f(0);
    for (var start = 0u; start < G; start += APART) {
      let g = start + local % APART;
      let s = joined(local, n, g);
      if (g < G && local < APART) {
        own += keep_sums(n, g, s[0], s[1] - saved_at(3, n, g) * s[0]);
      }
    }
    var layer = vec2f(0);
    if (KIND != 0) {
      layer = total(local, own);
    }
    for (var g = local; g < G; g += WG) {
      write_coefs(n, g, layer);
    }
  }
}
