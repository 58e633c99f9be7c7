// What the products of a gathered convolution by tiles have in common: the picture x, and how positions p of
// a grid map to pixels of x and of the result. x [IMAGES, H, W, IN]; X_QUADS: its rows are whole vec4. The
// result has OUT channels. Other constants are explained in lib/geometry.wgsl, MODE in lib/padding.wgsl, of
// which this makes use. group.z counts the CLASSES² classes of each split.
// static: X_QUADS
const IMAGES: u32 = 1;
const H: u32 = 1;
const W: u32 = 1;
const UP: u32 = 1;
const IN: u32 = 1;
const OUT: u32 = 1;
const BEFORE_Y: u32 = 0;
const BEFORE_X: u32 = 0;
const MODE: u32 = 0;
const GRID_H: u32 = 1;
const GRID_W: u32 = 1;
const CLASSES: u32 = 1;
const OUT_STRIDE: u32 = 1;
const OUT_H: u32 = 1;
const OUT_W: u32 = 1;
const IN_STRIDE: u32 = 1;
const CLASS_STEP: u32 = 0;
const TAPS_Y: u32 = 1;
const TAPS_X: u32 = 1;
const X_QUADS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;

fn class_of(group: vec3u) -> vec2u {
  return vec2u(group.z % CLASSES, group.z / CLASSES % CLASSES);
}

fn split_of(group: vec3u) -> u32 {
  return group.z / (CLASSES * CLASSES);
}

fn image_of(p: u32) -> u32 {
  return p / (GRID_W * GRID_H);
}

// Column and row of the padded picture, and its image, that the class's first tap sees from p.
fn seen_from(p: u32, class_: vec2u) -> vec3u {
  let at = vec2u(p % GRID_W, p / GRID_W % GRID_H) * IN_STRIDE + class_ * CLASS_STEP;
  return vec3u(at, image_of(p));
}

// Four channels from k on of a pixel of the padded picture; zero where there is none.
fn x_quad(at: vec3u, k: u32) -> vec4f {
  let sx = padded_source(i32(at.x) - i32(BEFORE_X), i32(W * UP), MODE);
  let sy = padded_source(i32(at.y) - i32(BEFORE_Y), i32(H * UP), MODE);
  if (sx < 0 || sy < 0 || at.z >= IMAGES) {
    return vec4f(0);
  }
  let start = ((at.z * H + u32(sy) / UP) * W + u32(sx) / UP) * IN + k;
  if (X_QUADS) {
    return x[start / 4];
  }
  var v = vec4f(0);
  for (var i = 0u; i < min(4, IN - k); i++) {
    v[i] = x[(start + i) / 4][(start + i) % 4];
  }
  return v;
}

// Index of the pixel of the result at position p of a class, or -1 where there is none.
fn result_pixel(p: u32, class_: vec2u) -> i32 {
  let at = vec2u(p % GRID_W, p / GRID_W % GRID_H) * OUT_STRIDE + class_;
  let pixel = (image_of(p) * OUT_H + at.y) * OUT_W + at.x;
  return select(-1, i32(pixel), image_of(p) < IMAGES && at.x < OUT_W && at.y < OUT_H);
}
