// Adjoint of padding and upsampling: dx[n,y,x,c] (+)= sum of dp over the padded positions that show (y, x).
// dp [images, paddedH, paddedW, stride] with stride >= channels, dx [images,height,width,channels].
// One invocation owns every SPREAD-th channel of one pixel; sums run in a fixed order. ADD: adds to what dx
// holds. quads: the same where channels and stride are multiples of 4, with quads of channels. Grid:
// ceil(width SPREAD / WG), height, images.
// needs: shown
struct Folding {
  height: u32,
  width: u32,
  channels: u32,
  up: u32,
  before: i32,  // padding on every side, in upsampled pixels
  mode: u32,    // padding: 0 reflection, 1 the edge again (before = 1)
  stride: u32,
}

const SPREAD: u32 = 1;
const WG: u32 = 8;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> folding: Folding;
@group(0) @binding(1) var<storage, read> dp: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(1) var<storage, read> dp_quads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx_quads: array<vec4f>;

// Padded positions to look at: each of the up² upsampled pixels of a pixel, itself and its images, which
// only pixels near an edge have.
fn candidates(at: vec3u) -> u32 {
  let u = vec2i(at.xy);
  let size = vec2i(vec2u(folding.width, folding.height));
  let inner = all(u > vec2i(folding.before)) && all(u < size - 1 - folding.before) && folding.up == 1;
  let side = select(1u, 3u, folding.before > 0) * folding.up;
  return select(side * side, 1, inner);
}

// Index of candidate i's pixel in dp, or -1 where there is no such image.
fn candidate(at: vec3u, i: u32) -> i32 {
  let up = folding.up;
  let images = select(1u, 3u, folding.before > 0);
  let side = images * up;
  let size = vec2i(vec2u(folding.height, folding.width) * up);
  let u = vec2i(vec2u(at.y, at.x) * up + vec2u(i / side, i % side) / images);
  let y = shown(u.x, i / side % images, size.x, folding.before, folding.mode);
  let x = shown(u.y, i % side % images, size.y, folding.before, folding.mode);
  let padded = size + 2 * folding.before;
  return select(-1, (i32(at.z) * padded.x + y) * padded.y + x, y >= 0 && x >= 0);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let f = folding;
  let at = vec3u(id.x / SPREAD, id.yz);
  if (at.x >= f.width) {
    return;
  }
  let to = ((at.z * f.height + at.y) * f.width + at.x) * f.channels;
  let count = candidates(at);
  for (var i = 0u; i < count; i++) {
    let pixel = candidate(at, i);
    if (pixel < 0) {
      continue;
    }
    let start = u32(pixel) * f.stride;
    for (var c = id.x % SPREAD; c < f.channels; c += SPREAD) {
      var sum = dp[start + c];
      if (ADD || i > 0) {
        sum += dx[to + c];
      }
      dx[to + c] = sum;
    }
  }
}

@compute @workgroup_size(WG)
fn quads(@builtin(global_invocation_id) id: vec3u) {
  let f = folding;
  let at = vec3u(id.x / SPREAD, id.yz);
  if (at.x >= f.width) {
    return;
  }
  let to = ((at.z * f.height + at.y) * f.width + at.x) * f.channels / 4;
  let count = candidates(at);
  for (var i = 0u; i < count; i++) {
    let pixel = candidate(at, i);
    if (pixel < 0) {
      continue;
    }
    let start = u32(pixel) * f.stride / 4;
    for (var c = id.x % SPREAD; c < f.channels / 4; c += SPREAD) {
      var sum = dp_quads[start + c];
      if (ADD || i > 0) {
        sum += dx_quads[to + c];
      }
      dx_quads[to + c] = sum;
    }
  }
}
