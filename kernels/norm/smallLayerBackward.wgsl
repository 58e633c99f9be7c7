// Gradients of ILN and AdaILN for small pictures in one launch: formulas and notation of
// backwardCoefficients.wgsl, KIND 1 and 2; g = dy, with RELU 0 where (x - base) scale + shift <= 0, computed
// as in smallLayer.wgsl. x, dy, dx [N, ROWS, C], C = 4 G; saved [9, N, G] from smallLayer.wgsl.
// One workgroup, which takes the samples in order; an invocation owns four channels, so WG >= G, and reads
// them twice. ADD_DRHO, ADD_DGAMMA, ADD_DBETA: adds to what that one holds.
// needs: total passing
const N: u32 = 1;
const ROWS: u32 = 2;
const G: u32 = 1;
const KIND: u32 = 1;
const RELU: bool = false;
const WG: u32 = 64;
const ADD_DRHO: bool = false;
const ADD_DGAMMA: bool = false;
const ADD_DBETA: bool = false;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> drho: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dgamma: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dbeta: array<vec4f>;

fn saved_at(plane: u32, n: u32, g: u32) -> vec4f {
  return saved[(plane * N + n) * G + g];
}

struct Sums {
  s1: vec4f,
  s2: vec4f,
}

// sum g and sum g (x - m) of four channels.
fn sums(n: u32, g: u32) -> Sums {
  let base = saved_at(0, n, g);
  let scale = saved_at(1, n, g);
  let shift = saved_at(2, n, g);
  var s1 = vec4f(0);
  var s2 = vec4f(0);
  var e = n * ROWS * G + g;
  for (var r = 0u; r < ROWS; r++) {
    let v = x[e] - base;
    let h = passing(dy[e], v, scale, shift);
    s1 += h;
    s2 = fma(h, v, s2);
    e += G;
  }
  return Sums(s1, s2 - saved_at(3, n, g) * s1);
}

// Sums over the channels of all invocations but those past the last one.
fn over_channels(local: u32, a: vec4f, b: vec4f) -> vec2f {
  let own = vec2f((a.x + a.y) + (a.z + a.w), (b.x + b.y) + (b.z + b.w));
  return total(local, select(vec2f(0), own, local < G));
}

fn write_dx(n: u32, g: u32, a: vec4f, b: vec4f, c: vec4f) {
  let base = saved_at(0, n, g);
  let scale = saved_at(1, n, g);
  let shift = saved_at(2, n, g);
  var e = n * ROWS * G + g;
  for (var r = 0u; r < ROWS; r++) {
    let v = x[e] - base;
    let h = passing(dy[e], v, scale, shift);
    dx[e] = fma(a, h, fma(b, v, c));
    e += G;
  }
}

fn own_channels(n: u32, g: u32, s: Sums, layer: vec2f) {
  let ri = saved_at(4, n, g);
  let off = saved_at(5, n, g);
  let rl = saved_at(6, n, g);
  let ratio = saved_at(7, n, g);
  let gain = saved_at(8, n, g);
  let toward_layer = rl * rl * rl * (layer.y / f32(ROWS * 4 * G - 1));
  let both = ratio * ri + (1 - ratio) * rl;
  let b = -gain * ratio * ri * ri * ri * s.s2 / f32(ROWS - 1) - toward_layer;
  let c = -gain * ratio * ri * s.s1 / f32(ROWS) - rl * (layer.x / f32(ROWS * 4 * G)) - off * toward_layer;
  write_dx(n, g, gain * both, b, c - b * saved_at(3, n, g));
  let first = n == 0 || KIND == 2;
  let w = select(g, n * G + g, KIND == 2);
  let zero = vec4f(0);
  drho[g] = gain * ((ri - rl) * s.s2 - rl * off * s.s1) + select(drho[g], zero, n == 0 && !ADD_DRHO);
  let to_gamma = both * s.s2 + (1 - ratio) * rl * off * s.s1;
  dgamma[w] = to_gamma + select(dgamma[w], zero, first && !ADD_DGAMMA);
  dbeta[w] = s.s1 + select(dbeta[w], zero, first && !ADD_DBETA);
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) local: u32) {
  let g = min(local, G - 1);
  for (var n = 0u; n < N; n++) {
    let s = sums(n, g);
    let w = saved_at(8, n, g) * (1 - saved_at(7, n, g));
    let layer = over_channels(local, w * s.s1, w * (s.s2 + saved_at(5, n, g) * s.s1));
    if (local < G) {
      own_channels(n, g, s, layer);
    }
  }
}
