// Weights [CO,K,K,CI] as the right operand of gatherRows: layer = class * taps + tap, row k, texel = quad of
// n. A tap is the sum of a rectangle of kernel elements (one, or those that meet on one pixel of an upsampled
// picture, or none). inputGradient: k is the output channel and n the input channel, else the reverse.
// Rows and columns beyond the channels are zero.
// One invocation owns one texel. Grid: ceil(quads of n / 8), ceil(4 quads of k / 8), layers.
struct Packing {
  ci: u32,
  co: u32,
  k: u32,
  inputGradient: u32,
  // Per layer: first kernel row, row behind the last, first column, column behind the last.
  taps: array<vec4u>,
}

@group(0) @binding(0) var<storage, read> packing: Packing;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var y: texture_storage_2d_array<rgba32float, write>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
  let ci = packing.ci;
  let co = packing.co;
  let side = packing.k;
  let forward = packing.inputGradient == 0;
  let n = at.x * 4;
  let ns = select(ci, co, forward);
  let ks = select(co, ci, forward);
  if (n >= ns || at.y >= (ks + 3) / 4 * 4) {
    return;
  }
  let nStep = select(1, side * side * ci, forward);
  let kStep = select(side * side * ci, 1, forward);
  let start = min(vec4u(n) + vec4u(0, 1, 2, 3), vec4u(ns - 1)) * nStep + min(at.y, ks - 1) * kStep;
  let tap = packing.taps[at.z];
  var sum = vec4f(0);
  for (var kh = tap.x; kh < tap.y; kh++) {
    for (var kw = tap.z; kw < tap.w; kw++) {
      let i = start + (kh * side + kw) * ci;
      sum += vec4f(w[i.x], w[i.y], w[i.z], w[i.w]);
    }
  }
  let real = vec4u(n) + vec4u(0, 1, 2, 3) < vec4u(ns);
  textureStore(y, at.xy, at.z, select(vec4f(0), sum, real & vec4<bool>(at.y < ks)));
}
