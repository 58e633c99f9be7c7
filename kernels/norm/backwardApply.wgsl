// dx = a g + b (x - base) + c with one a, b, c per (n, c): the last pass of the gradient of a norm.
// g = dy, with RELU 0 where (x - base) scale + shift <= 0 (as in backwardSums.wgsl). x, dy, dx [N, ROWS, C];
// saved [7, N, G] from coefficients.wgsl, coefs [3, N, G] from backwardCoefficients.wgsl.
// One invocation owns four channels of PER rows of one sample. PARTS = ceil(ROWS / PER).
// needs: flat straddle passing
const N: u32 = 1;
const ROWS: u32 = 2;
const C: u32 = 4;
const PER: u32 = 1;
const PARTS: u32 = 2;
const RELU: bool = false;
const WG: u32 = 64;

const G: u32 = (C + 3) / 4;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read> coefs: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

fn load_x(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return x[e / 4];
  }
  return straddle(x[e / 4], x[e / 4 + 1], e % 4);
}

fn load_dy(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return dy[e / 4];
  }
  return straddle(dy[e / 4], dy[e / 4 + 1], e % 4);
}

fn store(e: u32, g: u32, v: vec4f) {
  if (C % 4 == 0) {
    dx[e / 4] = v;
    return;
  }
  for (var j = 0u; j < min(4u, C - g * 4); j++) {
    dx[(e + j) / 4][(e + j) % 4] = v[j];
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let t = flat_index(group, groups, local, WG);
  if (t >= N * PARTS * G) {
    return;
  }
  let g = t % G;
  let p = t / G % PARTS;
  let n = t / (G * PARTS);
  let base = saved[n * G + g];
  let scale = saved[(N + n) * G + g];
  let shift = saved[(2 * N + n) * G + g];
  let a = coefs[n * G + g];
  let b = coefs[(N + n) * G + g];
  let c = coefs[(2 * N + n) * G + g];
  var e = (n * ROWS + p * PER) * C + g * 4;
  let end = e + min(PER, ROWS - p * PER) * C;
  for (; e < end; e += C) {
    let v = load_x(e) - base;
    let h = passing(load_dy(e), v, scale, shift);
    store(e, g, fma(a, h, fma(b, v, c)));
  }
}
