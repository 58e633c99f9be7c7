// The end of a power iteration (torch.nn.utils.spectral_norm with n_power_iterations 1), for each layer of
// lib/spectralLayers.wgsl, from t = Wᵀ u and s = W t:
//   v = t / max(|t|, EPS); W v = s / max(|t|, EPS); u = W v / max(|W v|, EPS); sigma = u . W v
// u and v are written twice: to the persistent vectors, and to those that this CALL leaves for the way back.
// fixed: sigma = u . s with s = W v for the u and v there are, of which it leaves copies.
// sigma: 64 floats a layer (so that each layer's can be bound), one of them for each call.
// One workgroup per layer; sums in a fixed order. WG is a multiple of 8.
// needs: spectralLayers total nan
const CALL: u32 = 0;
const EPS: f32 = 1e-12;
const WG: u32 = 64;

@group(0) @binding(1) var<storage, read> t: array<vec4f>;
@group(0) @binding(2) var<storage, read> s: array<f32>;
@group(0) @binding(3) var<storage, read_write> u: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> kept_u: array<f32>;
@group(0) @binding(6) var<storage, read_write> kept_v: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> sigma: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let l = layers[group.x];
  var square = vec4f(0);
  for (var m = lane; m < l.quads; m += WG) {
    square += t[l.v + m] * t[l.v + m];
  }
  let length = at_least(sqrt(total(lane, vec2f(dot(square, vec4f(1)), 0)).x), EPS);
  var squares = 0.0;
  for (var o = lane; o < l.rows; o += WG) {
    let value = s[l.u + o] / length;
    squares += value * value;
  }
  let norm2 = total(lane, vec2f(squares, 0)).x;
  let norm = at_least(sqrt(norm2), EPS);
  for (var o = lane; o < l.rows; o += WG) {
    let value = s[l.u + o] / length / norm;
    u[l.u + o] = value;
    kept_u[l.keptU + CALL * l.rows + o] = value;
  }
  for (var m = lane; m < l.quads; m += WG) {
    let value = t[l.v + m] / length;
    v[l.v + m] = value;
    kept_v[l.keptV + CALL * l.quads + m] = value;
  }
  if (lane == 0) {
    sigma[group.x * 64 + CALL] = norm2 / norm;
  }
}

@compute @workgroup_size(WG)
fn fixed(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let l = layers[group.x];
  var product = 0.0;
  for (var o = lane; o < l.rows; o += WG) {
    product += s[l.u + o] * u[l.u + o];
    kept_u[l.keptU + CALL * l.rows + o] = u[l.u + o];
  }
  for (var m = lane; m < l.quads; m += WG) {
    kept_v[l.keptV + CALL * l.quads + m] = v[l.v + m];
  }
  let all = total(lane, vec2f(product, 0)).x;
  if (lane == 0) {
    sigma[group.x * 64 + CALL] = all;
  }
}
