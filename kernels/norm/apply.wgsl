// y = f((x - base) scale + shift) + residual, with one base, scale and shift per (n, c): the last pass of
// instance norm, ILN and AdaILN. f is max(., 0) with RELU, else the identity. x, residual, y: [N, ROWS, C];
// saved: [7, N, G] vec4 from coefficients.wgsl, G = ceil(C / 4), its first three planes are read.
// One invocation owns four channels of PER rows of one sample: the coefficients are read once for them.
// PARTS = ceil(ROWS / PER). Without RESIDUAL, binding 2 is not read (any tensor may be bound).
// needs: flat straddle nan
const N: u32 = 1;
const ROWS: u32 = 2;
const C: u32 = 4;
const PER: u32 = 1;
const PARTS: u32 = 2;
const RELU: bool = false;
const RESIDUAL: bool = false;
const WG: u32 = 64;

const G: u32 = (C + 3) / 4;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> saved: array<vec4f>;
@group(0) @binding(2) var<storage, read> residual: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn load(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return x[e / 4];
  }
  return straddle(x[e / 4], x[e / 4 + 1], e % 4);
}

fn load_residual(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return residual[e / 4];
  }
  return straddle(residual[e / 4], residual[e / 4 + 1], e % 4);
}

fn store(e: u32, g: u32, v: vec4f) {
  if (C % 4 == 0) {
    y[e / 4] = v;
    return;
  }
  for (var j = 0u; j < min(4u, C - g * 4); j++) {
    y[(e + j) / 4][(e + j) % 4] = v[j];
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
  var e = (n * ROWS + p * PER) * C + g * 4;
  let end = e + min(PER, ROWS - p * PER) * C;
  for (; e < end; e += C) {
    var v = fma(load(e) - base, scale, shift);
    if (RELU) {
      v = relu(v);
    }
    if (RESIDUAL) {
      v += load_residual(e);
    }
    store(e, g, v);
  }
}
