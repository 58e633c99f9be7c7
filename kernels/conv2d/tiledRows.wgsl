// Implicit matrix product whose left rows are gathered from a feature map, by tiles in shared memory:
//   y[p, n] = f(bias[n] + sum_{t, k} x[source(p, t), k] * w[layer(class, t), n, k])
// The same sums as gatherRows, with plain buffers and WebGPU's default limits, for real GPUs. Padding is part
// of the indexing. A workgroup of 256 owns ROWS positions by COLUMNS channels of one class; who owns which of
// them, and the constants TALL and WIDE, are in lib/tileLoop.wgsl and lib/tile.wgsl.
// x [IMAGES, H, W, IN], w: element n * STEP_N + k * STEP_K + layer * LAYER, y [IMAGES, OUT_H, OUT_W, OUT].
// What the other constants mean is in lib/geometry.wgsl, MODE in lib/padding.wgsl.
// RIGHT_BY_K: neighbouring n lie next to each other in w (STEP_N = 1), else neighbouring k. LEFT_BY_K: false.
// ALIGNED: all rows of x and w are whole vec4. Grid: ceil(positions / ROWS), ceil(OUT / COLUMNS), CLASSES².
// needs: activate padding OPERANDS=operands CORE=tile tileLoop nan
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
const WHOLE: u32 = 1;
const LAYER_START: i32 = 0;
const LAYER_CLASS: i32 = 0;
const LAYER_TAP: i32 = 1;
const SIDE: u32 = 1;
const LAYER: u32 = 1;
const STEP_N: u32 = 1;
const STEP_K: u32 = 1;
const ALIGNED: bool = false;
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
// static: ALIGNED

// Channels of a tap, filled up to whole quads.
const PADDED: u32 = (IN + 3) / 4 * 4;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// What an invocation loads: from its position in the padded picture on, and for column n.
struct Source {
  y: u32,
  x: u32,
  image: u32,
  n: u32,
  class_: vec2u,
  skip: vec2u, // taps that the class lacks
}

// Four elements of x from `at` on, of which `count` are real.
fn x_quad(at: u32, count: u32) -> vec4f {
  if (ALIGNED) {
    return x[at / 4];
  }
  var v = vec4f(0);
  for (var i = 0u; i < min(4, count); i++) {
    v[i] = x[(at + i) / 4][(at + i) % 4];
  }
  return v;
}

fn w_quad(at: u32, count: u32) -> vec4f {
  if (ALIGNED) {
    return w[at / 4];
  }
  var v = vec4f(0);
  for (var i = 0u; i < min(4, count); i++) {
    v[i] = w[(at + i) / 4][(at + i) % 4];
  }
  return v;
}

// Tap and channel of k, counted from the class's first tap.
fn split_k(k: u32, skip: vec2u) -> vec3u {
  let tap = k / PADDED;
  let across = TAPS_X - skip.x;
  return vec3u(tap % across + skip.x, tap / across + skip.y, k % PADDED);
}

fn load_left(p: Source, i: u32, k: u32) -> vec4f {
  let t = split_k(k + left_share(i).k, p.skip);
  let sy = padded_source(i32(p.y + t.y) - i32(BEFORE_Y), i32(H * UP), MODE);
  let sx = padded_source(i32(p.x + t.x) - i32(BEFORE_X), i32(W * UP), MODE);
  if (sy < 0 || sx < 0 || p.image >= IMAGES || t.y >= TAPS_Y || !brings_left(i)) {
    return vec4f(0);
  }
  return x_quad(((p.image * H + u32(sy) / UP) * W + u32(sx) / UP) * IN + t.z, IN - t.z);
}

fn layer_of(class_: vec2u, t: vec2u) -> u32 {
  let at = LAYER_START + vec2i(class_) * LAYER_CLASS + vec2i(t) * LAYER_TAP;
  return u32(at.y) * SIDE + u32(at.x);
}

fn load_right(p: Source, i: u32, k: u32) -> vec4f {
  let t = split_k(k + right_share(i).k, p.skip);
  if (p.n >= OUT || t.z >= IN || t.y >= TAPS_Y || !brings_right(i)) {
    return vec4f(0);
  }
  let at = layer_of(p.class_, t.xy) * LAYER + p.n * STEP_N + t.z * STEP_K;
  return w_quad(at, select(IN - t.z, OUT - p.n, RIGHT_BY_K));
}

fn class_of(group: vec3u) -> vec2u {
  return vec2u(group.z % CLASSES, group.z / CLASSES);
}

fn store(group: vec3u, row: u32, column: u32, sums: vec4f) {
  let class_ = class_of(group);
  let p = group.x * ROWS + row;
  let oy = p / GRID_W % GRID_H * OUT_STRIDE + class_.y;
  let ox = p % GRID_W * OUT_STRIDE + class_.x;
  if (p >= IMAGES * GRID_H * GRID_W || oy >= OUT_H || ox >= OUT_W) {
    return;
  }
  let n = group.y * COLUMNS + column;
  let start = ((p / (GRID_W * GRID_H) * OUT_H + oy) * OUT_W + ox) * OUT + n;
  var v = sums;
  for (var j = 0u; j < 4 && n + j < OUT; j++) {
    if (BIAS) {
      v[j] += bias[n + j];
    }
  }
  v = activate(v, ACT, SLOPE);
  for (var j = 0u; j < 4 && n + j < OUT; j++) {
    y[start + j] = v[j];
  }
}

fn skip_of(group: vec3u) -> vec2u {
  return select(vec2u(0), vec2u(1), class_of(group) >= vec2u(WHOLE));
}

fn depth_of(group: vec3u) -> u32 {
  let skip = skip_of(group);
  return (TAPS_Y - skip.y) * (TAPS_X - skip.x) * PADDED;
}

fn source_of(group: vec3u, i: u32) -> Source {
  let class_ = class_of(group);
  let m = group.x * ROWS + left_share(i).line;
  return Source(
    m / GRID_W % GRID_H * IN_STRIDE + class_.y * CLASS_STEP,
    m % GRID_W * IN_STRIDE + class_.x * CLASS_STEP,
    m / (GRID_W * GRID_H),
    group.y * COLUMNS + right_share(i).line,
    class_,
    skip_of(group),
  );
}
