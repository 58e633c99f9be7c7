// Implicit matrix product whose left rows are gathered from a feature map, by tiles in shared memory:
//   y[p, n] = f(bias[n] + sum_{t, k} x[source(p, t), k] * w[layer(class, t), n, k] / sigma)
// The same sums as gatherRows, with plain buffers and WebGPU's default limits, for real GPUs. Padding is part
// of the indexing. A workgroup of 256 owns ROWS positions by COLUMNS channels of one class; who owns which of
// them, and the constants TALL and WIDE, are in lib/tileLoop.wgsl and lib/tile.wgsl.
// x: lib/gathered.wgsl, with its constants; others are in lib/geometry.wgsl.
// w: element n * STEP_N + k * STEP_K + layer * LAYER. W_QUADS: its rows are whole vec4. RIGHT_BY_K:
// neighbouring n lie next to each other in it (STEP_N = 1), else neighbouring k. LEFT_BY_K: false.
// y [IMAGES, OUT_H, OUT_W, OUT].
// LANES: how y is stored, vector where OUT is a multiple of 4, else scalar.
// CALLS > 0: the weight is under spectral norm; sigma [CALLS], each for a run of images. 0: no division.
// The sum may be cut into splits of SPLIT_DEPTH, a multiple of 16, each with its own workgroups: y is then
// [splits, IMAGES, ..], without what follows the sums, to be added up by finishColumns or sumRows.
// Grid: ceil(positions / ROWS), ceil(OUT / COLUMNS), splits * CLASSES².
// needs: activate padding gathered OPERANDS=operands CORE=tile LANES=vector tileLoop nan
const WHOLE: u32 = 1;
const LAYER_START: i32 = 0;
const LAYER_CLASS: i32 = 0;
const LAYER_TAP: i32 = 1;
const SIDE: u32 = 1;
const LAYER: u32 = 1;
const STEP_N: u32 = 1;
const STEP_K: u32 = 1;
const W_QUADS: bool = false;
const SPLIT_DEPTH: u32 = 16;
const CALLS: u32 = 0;
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
// static: W_QUADS

// Channels of a tap, filled up to whole quads.
const PADDED: u32 = (IN + 3) / 4 * 4;

@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // filled up to whole vec4
@group(0) @binding(3) var<storage, read> sigma: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;

// What an invocation loads: for its position, from `seen` in the padded picture on, and for column n.
struct Source {
  seen: vec3u,
  n: u32,
  first: u32, // k of its split
  class_: vec2u,
  skip: vec2u, // taps that the class lacks
}

// Four elements of w from `at` on, of which `count` are real.
fn w_quad(at: u32, count: u32) -> vec4f {
  if (W_QUADS) {
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
  let t = split_k(p.first + k + left_share(i).k, p.skip);
  if (t.y >= TAPS_Y || !brings_left(i)) {
    return vec4f(0);
  }
  return x_quad(p.seen + vec3u(t.xy, 0), t.z);
}

fn layer_of(class_: vec2u, t: vec2u) -> u32 {
  let at = LAYER_START + vec2i(class_) * LAYER_CLASS + vec2i(t) * LAYER_TAP;
  return u32(at.y) * SIDE + u32(at.x);
}

fn load_right(p: Source, i: u32, k: u32) -> vec4f {
  let t = split_k(p.first + k + right_share(i).k, p.skip);
  if (p.n >= OUT || t.z >= IN || t.y >= TAPS_Y || !brings_right(i)) {
    return vec4f(0);
  }
  let at = layer_of(p.class_, t.xy) * LAYER + p.n * STEP_N + t.z * STEP_K;
  return w_quad(at, select(IN - t.z, OUT - p.n, RIGHT_BY_K));
}

fn store(group: vec3u, row: u32, column: u32, sums: vec4f) {
  let p = group.x * ROWS + row;
  let n = group.y * COLUMNS + column;
  let pixel = result_pixel(p, class_of(group));
  if (pixel < 0 || n >= OUT) {
    return;
  }
  var v = sums;
  if (CALLS > 0) {
    v /= sigma[image_of(p) * CALLS / IMAGES];
  }
  if (BIAS) {
    v += bias[n / 4];
  }
  v = activate(v, ACT, SLOPE);
  let start = (split_of(group) * IMAGES * OUT_H * OUT_W + u32(pixel)) * OUT + n;
  for (var j = 0u; j < 4 && n + j < OUT; j += WIDTH) {
    y[(start + j) / WIDTH] = from_four(v, j);
  }
}

fn skip_of(group: vec3u) -> vec2u {
  return select(vec2u(0), vec2u(1), class_of(group) >= vec2u(WHOLE));
}

fn depth_of(group: vec3u) -> u32 {
  let skip = skip_of(group);
  let whole = (TAPS_Y - skip.y) * (TAPS_X - skip.x) * PADDED;
  let first = split_of(group) * SPLIT_DEPTH;
  return min(SPLIT_DEPTH, max(whole, first) - first);
}

fn source_of(group: vec3u, i: u32) -> Source {
  let class_ = class_of(group);
  return Source(
    seen_from(group.x * ROWS + left_share(i).line, class_),
    group.y * COLUMNS + right_share(i).line,
    split_of(group) * SPLIT_DEPTH,
    class_,
    skip_of(group),
  );
}
