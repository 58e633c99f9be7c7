// dw = (dy - <dy, w> / sigma u v^T) / sigma, with y = w / sigma and u, v constant: gradient of the weight
// before its spectral normalisation. dy and dw [O,M], u [O], v [M], M = 4 M4; part: 4 PARTS4 partial sums of
// <dy, w>.
// A lane owns J vec4s of columns, WG apart, in each of PER rows: workgroup (t, r) has tile t of columns and
// rows r PER .. +PER.
const O: u32 = 1;
const M4: u32 = 1;
const PARTS4: u32 = 1;
const PER: u32 = 8;
const J: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> part: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> sigma: array<f32>;
@group(0) @binding(5) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * WG * J + lane;
  if (first >= M4) {
    return;
  }
  var sums = vec4f(0);
  for (var i = 0u; i < PARTS4; i++) {
    sums += part[i];
  }
  let s = sigma[0];
  let total = dot(sums, vec4f(1)) / s;
  var product: array<vec4f, J>;
  for (var j = 0u; j < J; j++) {
    product[j] = total * v[min(first + j * WG, M4 - 1)];
  }
  let end = min(group.y * PER + PER, O);
  for (var o = group.y * PER; o < end; o++) {
    let a = u[o];
    for (var j = 0u; j < J; j++) {
      let k = first + j * WG;
      if (k < M4) {
        dw[o * M4 + k] = (dy[o * M4 + k] - a * product[j]) / s;
      }
    }
  }
}
