// One power iteration of a small weight in one launch (torch.nn.utils.spectral_norm, n_power_iterations 1):
//   v = Wᵀ u / max(|Wᵀ u|, EPS); u = W v / max(|W v|, EPS); sigma = u . W v
// w [O,M], u [O], v [M], M = 4 M4. u and v are written twice: to the persistent vectors, and to those that
// the backward pass of this call keeps. One workgroup, which reads w twice; lane i owns the quads of columns
// i, i + WG, .. and then the rows i, i + WG, .. WG is a multiple of 8.
// needs: total
const O: u32 = 1;
const M4: u32 = 1;
const EPS: f32 = 1e-12;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> w: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> u_kept: array<f32>;
@group(0) @binding(2) var<storage, read_write> v_kept: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> u: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> sigma: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var square = vec4f(0);
  for (var i = lane; i < M4; i += WG) {
    var t = vec4f(0);
    for (var o = 0u; o < O; o++) {
      t = fma(w[o * M4 + i], vec4f(u_kept[o]), t);
    }
    v[i] = t;
    square += t * t;
  }
  let length = max(sqrt(total(lane, vec2f(dot(square, vec4f(1)), 0)).x), EPS);
  for (var i = lane; i < M4; i += WG) {
    let value = v[i] / length;
    v[i] = value;
    v_kept[i] = value;
  }
  storageBarrier();
  var squares = 0.0;
  for (var o = lane; o < O; o += WG) {
    var sum = vec4f(0);
    for (var i = 0u; i < M4; i++) {
      sum = fma(w[o * M4 + i], v[i], sum);
    }
    let value = dot(sum, vec4f(1));
    u[o] = value;
    squares += value * value;
  }
  let norm2 = total(lane, vec2f(squares, 0)).x;
  let norm = max(sqrt(norm2), EPS);
  for (var o = lane; o < O; o += WG) {
    let value = u[o] / norm;
    u[o] = value;
    u_kept[o] = value;
  }
  if (lane == 0) {
    sigma[0] = norm2 / norm;
  }
}
