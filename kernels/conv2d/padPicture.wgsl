// Copies a picture [images, height, width, channels] into a texture with its padding written out, upsampled
// by `up` (nearest) and its channels filled with zeros to a multiple of 4: layer = image, row = y + beforeY,
// texel = (x + beforeX) * quads + quad. Zero as well where the padding does not reach.
// One invocation owns all quads of one padded pixel. Grid: ceil(paddedW / WG), paddedH, images. WG: any.
// border: only what lies outside of the picture itself, which the queue copies; up = 1 and whole quads.
// Grid: ceil(pixels of the border / WG), 1, images.
// needs: padding
struct Padding {
  height: u32,
  width: u32,
  channels: u32,
  up: u32,
  beforeY: i32,  // padding above, in upsampled pixels
  beforeX: i32,  // padding to the left
  mode: u32,     // see lib/padding.wgsl
  paddedH: u32,
  paddedW: u32,
}

const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> padding: Padding;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var y: texture_storage_2d_array<rgba32float, write>;

fn pad(at: vec3u) {
  let p = padding;
  let sy = padded_source(i32(at.y) - p.beforeY, i32(p.height * p.up), p.mode);
  let sx = padded_source(i32(at.x) - p.beforeX, i32(p.width * p.up), p.mode);
  let inside = sy >= 0 && sx >= 0;
  let row = (at.z * p.height + u32(max(sy, 0)) / p.up) * p.width + u32(max(sx, 0)) / p.up;
  let base = row * p.channels;
  let quads = (p.channels + 3) / 4;
  if (p.channels % 4 == 0) {
    for (var q = 0u; q < quads; q++) {
      let v = select(vec4f(0), x[base / 4 + q], inside);
      textureStore(y, vec2u(at.x * quads + q, at.y), at.z, v);
    }
    return;
  }
  for (var q = 0u; q < quads; q++) {
    var v = vec4f(0);
    for (var i = 0u; i < min(4, p.channels - q * 4); i++) {
      let start = base + q * 4 + i;
      v[i] = select(0.0, x[start / 4][start % 4], inside);
    }
    textureStore(y, vec2u(at.x * quads + q, at.y), at.z, v);
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) at: vec3u) {
  if (at.x < padding.paddedW) {
    pad(at);
  }
}

@compute @workgroup_size(WG)
fn border(@builtin(global_invocation_id) id: vec3u) {
  let p = padding;
  let first = vec2u(vec2i(p.beforeX, p.beforeY));
  let inner = min(vec2u(p.width, p.height), vec2u(p.paddedW, p.paddedH) - first);
  // Whole rows above and below, then what is left and right of the picture.
  let bands = (p.paddedH - inner.y) * p.paddedW;
  let sides = p.paddedW - inner.x;
  if (id.x < bands) {
    let row = id.x / p.paddedW;
    pad(vec3u(id.x % p.paddedW, row + select(0, inner.y, row >= first.y), id.z));
  } else if (id.x - bands < inner.y * sides) {
    let i = id.x - bands;
    let column = i % sides;
    pad(vec3u(column + select(0, inner.x, column >= first.x), first.y + i / sides, id.z));
  }
}
