// A picture of few channels with its taps as channels, for the weight gradient of a layer with few outputs:
//   y[n, i, j, (fy foldsX + fx) channels + c] = x[n, i - fy, j - fx, c], zero outside of x and of the taps
// x [images, height, width, channels], y: texel j * quads + quad, row i, layer n.
// One invocation owns one texel. Grid: ceil(texels of a row / WG), rows of y, images.
struct Spread {
  height: u32,
  width: u32,
  channels: u32,
  foldsY: u32,
  foldsX: u32,
  quads: u32,
  texels: u32,
}

const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> spread: Spread;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var y: texture_storage_2d_array<rgba32float, write>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) at: vec3u) {
  let s = spread;
  if (at.x >= s.texels) {
    return;
  }
  let j = at.x / s.quads;
  let first = (at.x - j * s.quads) * 4;
  var v = vec4f(0);
  for (var i = 0u; i < 4; i++) {
    let f = (first + i) / s.channels;
    let c = first + i - f * s.channels;
    let fy = f / s.foldsX;
    let sy = at.y - fy;
    let sx = j - (f - fy * s.foldsX);
    // Differences below zero wrap to large numbers.
    if (fy < s.foldsY && sy < s.height && sx < s.width) {
      v[i] = x[((at.z * s.height + sy) * s.width + sx) * s.channels + c];
    }
  }
  textureStore(y, at.xy, at.z, v);
}
