// ILN and AdaILN of a small picture in one launch, formulas of coefficients.wgsl:
//   y = f((x - base) scale + shift) + residual,   f max(., 0) with RELU, else the identity
// KIND 1 ILN: rho, gamma, beta [C]; KIND 2 AdaILN: rho [C], gamma, beta [N, C]. x, residual, y [N, ROWS, C],
// C = 4 G. saved [9, N, G] for the way back: base, scale, shift, d, rI, m - mu, rL, rho, gamma.
// One workgroup per sample; an invocation owns four channels of it, so WG >= G, and reads them twice.
// Without RESIDUAL, binding 4 is not read.
// needs: total moments smallStatistics nan
const N: u32 = 1;
const ROWS: u32 = 2;
const G: u32 = 1;
const KIND: u32 = 1;
const RELU: bool = false;
const RESIDUAL: bool = false;
const WG: u32 = 64;

const EPS: f32 = 1e-5;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> rho: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> saved: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

// Sum over the channels of all invocations but those past the last one.
fn over_channels(local: u32, v: vec4f) -> f32 {
  return total(local, vec2f(select(0.0, (v.x + v.y) + (v.z + v.w), local < G), 0)).x;
}

fn save(plane: u32, at: u32, v: vec4f) {
  saved[plane * N * G + at] = v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let n = group.x;
  let g = min(local, G - 1);
  let s = statistics(n * ROWS * G + g);
  // Means relative to one number of the sample, so that mu, too, is accurate for large means.
  let pivot = x[n * ROWS * G].x;
  let m = (s.base - pivot) + s.d;
  let off = m - over_channels(local, m) / f32(4 * G);
  let rl = 1 / sqrt(over_channels(local, s.q + f32(ROWS) * off * off) / f32(ROWS * 4 * G - 1) + EPS);
  if (local >= G) {
    return;
  }
  let ri = 1 / sqrt(s.q / f32(ROWS - 1) + EPS);
  let ratio = rho[g];
  let gain = gamma[g + select(0, n * G, KIND == 2)];
  let scale = gain * (ratio * ri + (1 - ratio) * rl);
  let bias = beta[g + select(0, n * G, KIND == 2)];
  let shift = gain * (1 - ratio) * rl * off + bias - s.d * scale;
  let at = n * G + g;
  save(0, at, s.base);
  save(1, at, scale);
  save(2, at, shift);
  save(3, at, s.d);
  save(4, at, ri);
  save(5, at, off);
  save(6, at, vec4f(rl));
  save(7, at, ratio);
  save(8, at, gain);
  var e = n * ROWS * G + g;
  for (var r = 0u; r < ROWS; r++) {
    var v = fma(x[e] - s.base, scale, shift);
    if (RELU) {
      v = relu(v);
    }
    if (RESIDUAL) {
      v += residual[e];
    }
    y[e] = v;
    e += G;
  }
}
