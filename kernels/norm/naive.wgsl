// Norms as written first: one pass per step, one invocation per element of the result, loops in memory order.
// A set s is a plane (n, c) of x [N, ROWS, C], or with LAYER the whole picture n; LESS is 1 for the unbiased
// variance, 0 for the biased one; count = elements of a set.
// Weights (rho, gamma, beta) are [C], with PER_SAMPLE [N, C].
//   mean:              y[s] = sum a / count
//   variance:          y[s] = sum (a - b[s])^2 / (count - LESS)
//   normalise:         y = (a - b[s]) / sqrt(c[s] + EPS)
//   dot:               y[s] = sum a b / (count - LESS)
//   normaliseBackward: y = (a - c[s] - b d[s]) / sqrt(e[s] + EPS)  dy, xhat, mean, dot, variance
//   mix:               y = c a + (1 - c) b            xIN, xLN, rho
//   scale:             y = a b, with COMPLEMENT a (1 - b)          b one number per channel
//   affine:            y = a b + c                    gamma, beta
//   sumOver:           y[w] = sum of TERM over the elements weight w applies to (bias-like gradients)
// needs: flat
const N: u32 = 1;
const ROWS: u32 = 2;
const C: u32 = 1;
const LAYER: bool = false;
const LESS: u32 = 0;
const PER_SAMPLE: bool = false;
const COMPLEMENT: bool = false;
// What sumOver adds: 0 a, 1 a b, 2 a (b - c).
const TERM: u32 = 0;
const WG: u32 = 64;

const EPS: f32 = 1e-5;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read> d: array<f32>;
@group(0) @binding(4) var<storage, read> e: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn count() -> u32 {
  return select(ROWS, ROWS * C, LAYER);
}

fn set_of(i: u32) -> u32 {
  return select(i / (ROWS * C) * C + i % C, i / (ROWS * C), LAYER);
}

// Element k of set s.
fn member(s: u32, k: u32) -> u32 {
  return select((s / C * ROWS + k) * C + s % C, s * ROWS * C + k, LAYER);
}

fn sets() -> u32 {
  return select(N * C, N, LAYER);
}

fn weight_of(i: u32) -> u32 {
  return i % C + select(0u, i / (ROWS * C) * C, PER_SAMPLE);
}

@compute @workgroup_size(WG)
fn mean(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= sets()) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < count(); k++) {
    sum += a[member(i, k)];
  }
  y[i] = sum / f32(count());
}

@compute @workgroup_size(WG)
fn variance(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= sets()) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < count(); k++) {
    let v = a[member(i, k)] - b[i];
    sum += v * v;
  }
  y[i] = sum / f32(count() - LESS);
}

@compute @workgroup_size(WG)
fn normalise(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * ROWS * C) {
    return;
  }
  let s = set_of(i);
  y[i] = (a[i] - b[s]) / sqrt(c[s] + EPS);
}

@compute @workgroup_size(WG)
fn dot(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= sets()) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < count(); k++) {
    sum += a[member(i, k)] * b[member(i, k)];
  }
  y[i] = sum / f32(count() - LESS);
}

@compute @workgroup_size(WG)
fn normaliseBackward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * ROWS * C) {
    return;
  }
  let s = set_of(i);
  y[i] = (a[i] - c[s] - b[i] * d[s]) / sqrt(e[s] + EPS);
}

@compute @workgroup_size(WG)
fn mix(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * ROWS * C) {
    return;
  }
  let r = c[i % C];
  y[i] = r * a[i] + (1 - r) * b[i];
}

@compute @workgroup_size(WG)
fn scale(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * ROWS * C) {
    return;
  }
  let w = b[weight_of(i)];
  y[i] = a[i] * select(w, 1 - w, COMPLEMENT);
}

@compute @workgroup_size(WG)
fn affine(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * ROWS * C) {
    return;
  }
  y[i] = a[i] * b[weight_of(i)] + c[weight_of(i)];
}

@compute @workgroup_size(WG)
fn sumOver(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= select(C, N * C, PER_SAMPLE)) {
    return;
  }
  let first = select(0u, i / C, PER_SAMPLE);
  let end = select(N, i / C + 1, PER_SAMPLE);
  var sum = 0.0;
  for (var row = first * ROWS; row < end * ROWS; row++) {
    let at = row * C + i % C;
    if (TERM == 0) {
      sum += a[at];
    } else if (TERM == 1) {
      sum += a[at] * b[at];
    } else {
      sum += a[at] * (b[at] - c[at]);
    }
  }
  y[i] = sum;
}
