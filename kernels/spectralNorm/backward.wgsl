// dw = (dy - <dy, y> u v^T) / sigma, with y = w / sigma and u, v constant: gradient of the weight before its
// spectral normalisation. dy and dw [O,M], u [O], v [M], M = 4 M4; part: 4 PARTS4 partial sums of <dy, y>.
// A lane owns one vec4 of columns in R rows: workgroup (t, r) has columns t WG .. and rows r R .. .
const O: u32 = 1;
const M4: u32 = 1;
const PARTS4: u32 = 1;
const R: u32 = 8;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> part: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> sigma: array<f32>;
@group(0) @binding(5) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let k = group.x * WG + lane;
  if (k >= M4) {
    return;
  }
  var sums = vec4f(0);
  for (var i = 0u; i < PARTS4; i++) {
    sums += part[i];
  }
  let s = sigma[0];
  let product = dot(sums, vec4f(1)) * v[k];
  let end = min(group.y * R + R, O);
  for (var o = group.y * R; o < end; o++) {
    dw[o * M4 + k] = (dy[o * M4 + k] - u[o] * product) / s;
  }
}
