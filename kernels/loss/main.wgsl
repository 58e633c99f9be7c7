// Means over elements, and their gradients for the upstream gradient dy[0]. The COUNT elements come in GOALS
// equal parts, whose means (over MEAN = COUNT / GOALS elements) are added up:
//   KIND 0  L1:   |a - b|,                                   da = dy sign(a - b) / MEAN, sign(0) = 0
//   KIND 1  MSE:  (a - goal)^2,                              da = dy 2 (a - goal) / MEAN
//   KIND 2  BCE with logits: (1 - goal) a + max(-a, 0) + log(1 + exp(-|a|)),
//           da = dy ((1 - goal) sigmoid(a) - goal sigmoid(-a)) / MEAN  (no 1 - 1 for sure logits)
// forward: workgroup g owns the vec4s g PER .. of a and writes their sum to y[g], divided by MEAN where
// it is the only one. finish: one workgroup adds PARTS such sums and divides. Every sum has a fixed order.
// backward: one invocation per vec4 of da; SIGN -1 gives L1's db. The goal of part k is b[k], in [0, 1] for
// KIND 2; KIND 0 has one part. Buffers are padded to 16 bytes.
// needs: flat total nan
const COUNT: u32 = 1;
const KIND: u32 = 0;
const GOALS: u32 = 1;
const PER: u32 = 1;
const PARTS: u32 = 1;
const SIGN: f32 = 1.0;
const WG: u32 = 64;

const N4: u32 = (COUNT + 3) / 4;
const MEAN: f32 = f32(COUNT / GOALS);

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// log(1 + e) for e in [0, 1], to rounding: 2 atanh(e / (2 + e)) as a series (WGSL's log errs absolutely).
fn log1p(e: vec4f) -> vec4f {
  let z = e / (2 + e);
  let s = z * z;
  var sum = vec4f(1.0 / 17);
  sum = fma(sum, s, vec4f(1.0 / 15));
  sum = fma(sum, s, vec4f(1.0 / 13));
  sum = fma(sum, s, vec4f(1.0 / 11));
  sum = fma(sum, s, vec4f(1.0 / 9));
  sum = fma(sum, s, vec4f(1.0 / 7));
  sum = fma(sum, s, vec4f(1.0 / 5));
  sum = fma(sum, s, vec4f(1.0 / 3));
  return 2 * z * fma(sum, s, vec4f(1));
}

// Goals of the elements of vec4 i.
fn goals(i: u32) -> vec4f {
  let k = min((i * 4 + vec4u(0, 1, 2, 3)) / (COUNT / GOALS), vec4u(GOALS - 1));
  return vec4f(b[k.x / 4][k.x % 4], b[k.y / 4][k.y % 4], b[k.z / 4][k.z % 4], b[k.w / 4][k.w % 4]);
}

fn term(i: u32) -> vec4f {
  let v = a[i];
  if (KIND == 0) {
    return abs(v - b[i]);
  }
  let goal = goals(i);
  if (KIND == 1) {
    return (v - goal) * (v - goal);
  }
  return v * (1 - goal) + relu(-v) + log1p(exp(-abs(v)));
}

fn slope(i: u32) -> vec4f {
  let v = a[i];
  if (KIND == 0) {
    return SIGN * sign(v - b[i]);
  }
  let goal = goals(i);
  if (KIND == 1) {
    return 2 * (v - goal);
  }
  let e = exp(-abs(v));
  let up = select(e, vec4f(1), v >= vec4f(0)) / (1 + e);
  let down = select(vec4f(1), e, v >= vec4f(0)) / (1 + e);
  return (1 - goal) * up - goal * down;
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var i = group.x * PER + local; i < min(group.x * PER + PER, N4); i += WG) {
    let valid = select(vec4f(0), term(i), i * 4 + vec4u(0, 1, 2, 3) < vec4u(COUNT));
    sum += (valid.x + valid.y) + (valid.z + valid.w);
  }
  let all = total(local, vec2f(sum, 0)).x;
  if (local == 0) {
    y[group.x / 4][group.x % 4] = select(all, all / MEAN, PARTS == 1);
  }
}

@compute @workgroup_size(WG)
fn finish(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var i = local; i < PARTS; i += WG) {
    sum += a[i / 4][i % 4];
  }
  let all = total(local, vec2f(sum, 0)).x;
  if (local == 0) {
    y[0].x = all / MEAN;
  }
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < N4) {
    y[i] = slope(i) * (dy[0] / MEAN);
  }
}
