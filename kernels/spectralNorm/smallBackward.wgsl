// dw = (dy - <dy, w> / sigma u v^T) / sigma in one launch, for small weights: see backward.wgsl.
// dy, w and dw [O,M], u [O], v [M], M = 4 M4. One workgroup; lane i owns the vec4s i, i + WG, .. of w.
// WG is a multiple of 8.
// needs: total
const O: u32 = 1;
const M4: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> sigma: array<f32>;
@group(0) @binding(5) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec4f(0);
  for (var i = lane; i < O * M4; i += WG) {
    sum = fma(dy[i], w[i], sum);
  }
  let s = sigma[0];
  let product = total(lane, vec2f(dot(sum, vec4f(1)), 0)).x / s;
  for (var i = lane; i < O * M4; i += WG) {
    dw[i] = (dy[i] - product * u[i / M4] * v[i % M4]) / s;
  }
}
