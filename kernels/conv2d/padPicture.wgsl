// A picture [images, height, width, channels] with its padding written out, upsampled by `up` (nearest) and
// its channels filled with zeros to a multiple of 4: y [images, paddedH, rowStep] vec4f, pixel (row, column)
// at row, column * quads. Zero as well where the padding does not reach. What the queue copies into a texture
// whose texels are those.
// One invocation owns all quads of one padded pixel. Grid: ceil(paddedW / WG), paddedH, images. WG: any.
// needs: padding
struct Padding {
  height: u32,
  width: u32,
  channels: u32,
  up: u32,
  beforeY: i32,  // padding above, in upsampled pixels
  beforeX: i32,  // padding to the left
  mode: u32,     // see lib/padding.wgsl
  rowStep: u32,  // vec4f from one row to the next
  paddedW: u32,
}

const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> padding: Padding;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let p = padding;
  if (at.x >= p.paddedW) {
    return;
  }
  let sy = padded_source(i32(at.y) - p.beforeY, i32(p.height * p.up), p.mode);
  let sx = padded_source(i32(at.x) - p.beforeX, i32(p.width * p.up), p.mode);
  let inside = sy >= 0 && sx >= 0;
  let row = (at.z * p.height + u32(max(sy, 0)) / p.up) * p.width + u32(max(sx, 0)) / p.up;
  let base = row * p.channels;
  let quads = (p.channels + 3) / 4;
  let to = (at.z * groups.y + at.y) * p.rowStep + at.x * quads;
  if (p.channels % 4 == 0) {
    for (var q = 0u; q < quads; q++) {
      y[to + q] = select(vec4f(0), x[base / 4 + q], inside);
    }
    return;
  }
  for (var q = 0u; q < quads; q++) {
    var v = vec4f(0);
    for (var i = 0u; i < min(4, p.channels - q * 4); i++) {
      let start = base + q * 4 + i;
      v[i] = select(0.0, x[start / 4][start % 4], inside);
    }
    y[to + q] = v;
  }
}
