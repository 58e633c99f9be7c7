// End of one power iteration, from t = W^T u and s = W t (as partial sums over SLICES, in order):
//   v = t / max(|t|, EPS); Wv = s / max(|t|, EPS); u = Wv / max(|Wv|, EPS); sigma = u . Wv
// (torch.nn.utils.spectral_norm with n_power_iterations 1). t and v [M], M = 4 M4; s [SLICES,O]; u [O].
// u and v are written twice: to the persistent vectors, and to those the backward pass of this call keeps.
// One workgroup; lanes are added in lane order. WG is a multiple of SUMS.
const M4: u32 = 1;
const O: u32 = 1;
const SLICES: u32 = 1;
const EPS: f32 = 1e-12;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> t: array<vec4f>;
@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read_write> u_kept: array<f32>;
@group(0) @binding(3) var<storage, read_write> v_kept: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> u: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> sigma: array<f32>;

const SUMS: u32 = 8;
var<workgroup> lanes: array<f32, WG>;
var<workgroup> sums: array<f32, SUMS>;

// Sum of `value` over the workgroup, for every lane.
fn total(value: f32, lane: u32) -> f32 {
  lanes[lane] = value;
  workgroupBarrier();
  if (lane < SUMS) {
    var sum = 0.0;
    for (var i = 0u; i < WG / SUMS; i++) {
      sum += lanes[lane * (WG / SUMS) + i];
    }
    sums[lane] = sum;
  }
  workgroupBarrier();
  var all = 0.0;
  for (var i = 0u; i < SUMS; i++) {
    all += sums[i];
  }
  return all;
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var square = vec4f(0);
  for (var i = lane; i < M4; i += WG) {
    square += t[i] * t[i];
  }
  let length = max(sqrt(total(dot(square, vec4f(1)), lane)), EPS);
  var squares = 0.0;
  for (var o = lane; o < O; o += WG) {
    var sum = 0.0;
    for (var i = 0u; i < SLICES; i++) {
      sum += s[i * O + o];
    }
    sum /= length;
    u[o] = sum;
    squares += sum * sum;
  }
  let norm2 = total(squares, lane);
  let norm = max(sqrt(norm2), EPS);
  for (var o = lane; o < O; o += WG) {
    let value = u[o] / norm;
    u[o] = value;
    u_kept[o] = value;
  }
  for (var i = lane; i < M4; i += WG) {
    let value = t[i] / length;
    v[i] = value;
    v_kept[i] = value;
  }
  if (lane == 0) {
    sigma[0] = norm2 / norm;
  }
}
