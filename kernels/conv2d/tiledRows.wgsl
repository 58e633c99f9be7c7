// Implicit matrix product whose left rows are gathered from a feature map, by tiles in shared memory:
//   y[p, n] = f(bias[n] + sum_{t, k} x[source(p, t), k] * w[layer(class, t), n, k])
// The same sums as gatherRows, with plain buffers and WebGPU's default limits, for real GPUs. Padding is part
// of the indexing. A workgroup of 256 owns 64 positions by 64 channels of one class, an invocation 4 by 4.
// x [IMAGES, H, W, IN], w: element n * STEP_N + k * STEP_K + layer * LAYER, y [IMAGES, OUT_H, OUT_W, OUT].
// What the other constants mean is in lib/geometry.wgsl, MODE in lib/padding.wgsl.
// TRANSPOSED: neighbouring n lie next to each other in w (STEP_N = 1), else neighbouring k.
// ALIGNED: all rows of x and w are whole vec4. Grid: ceil(positions / 64), ceil(OUT / 64), CLASSES².
// needs: activate padding
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
const TRANSPOSED: bool = false;
const ALIGNED: bool = false;
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
// static: TRANSPOSED ALIGNED

// Channels of a tap, filled up to whole quads; k of a step.
const PADDED: u32 = (IN + 3) / 4 * 4;
const DEPTH: u32 = 16;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Four k of position m: m * 4 + quad of k. For w see `store`.
var<workgroup> left: array<vec4f, 256>;
var<workgroup> right: array<vec4f, 256>;

struct Place {
  y: u32,
  x: u32,
  image: u32,
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

fn load_left(p: Place, k: u32, skip: vec2u) -> vec4f {
  let t = split_k(k, skip);
  let sy = padded_source(i32(p.y + t.y) - i32(BEFORE_Y), i32(H * UP), MODE);
  let sx = padded_source(i32(p.x + t.x) - i32(BEFORE_X), i32(W * UP), MODE);
  if (sy < 0 || sx < 0 || p.image >= IMAGES || t.y >= TAPS_Y) {
    return vec4f(0);
  }
  return x_quad(((p.image * H + u32(sy) / UP) * W + u32(sx) / UP) * IN + t.z, IN - t.z);
}

fn layer_of(class_: vec2u, t: vec2u) -> u32 {
  let at = LAYER_START + vec2i(class_) * LAYER_CLASS + vec2i(t) * LAYER_TAP;
  return u32(at.y) * SIDE + u32(at.x);
}

// Invocation i loads 4 k of column n0 + i / 4 or (TRANSPOSED) 4 columns of row k0 + i / 16.
fn load_right(i: u32, n0: u32, k0: u32, skip: vec2u, class_: vec2u) -> vec4f {
  let k = k0 + select(i % 4 * 4, i / 16, TRANSPOSED);
  let n = n0 + select(i / 4, i % 16 * 4, TRANSPOSED);
  let t = split_k(k, skip);
  if (n >= OUT || t.z >= IN || t.y >= TAPS_Y) {
    return vec4f(0);
  }
  let at = layer_of(class_, t.xy) * LAYER + n * STEP_N + t.z * STEP_K;
  return w_quad(at, select(IN - t.z, OUT - n, TRANSPOSED));
}

// Both kinds lie so that column quad q of k quad s reads s * 64 + i * 16 + q, neighbours side by side.
fn right_index(i: u32) -> u32 {
  return select(i % 4 * 64 + i / 4 % 4 * 16 + i / 16, i, TRANSPOSED);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) i: u32) {
  let class_ = vec2u(tile.z % CLASSES, tile.z / CLASSES);
  let skip = select(vec2u(0), vec2u(1), class_ >= vec2u(WHOLE));
  let n0 = tile.y * 64;
  let m = tile.x * 64 + i / 4;
  let place = Place(
    m / GRID_W % GRID_H * IN_STRIDE + class_.y * CLASS_STEP,
    m % GRID_W * IN_STRIDE + class_.x * CLASS_STEP,
    m / (GRID_W * GRID_H),
  );
  let depth = (TAPS_Y - skip.y) * (TAPS_X - skip.x) * PADDED;
  let row = i / 16;
  let column = i % 16;
  var c: mat4x4f;
  if (depth > 0) {
    var a = load_left(place, i % 4 * 4, skip);
    var b = load_right(i, n0, 0, skip, class_);
    for (var k0 = 0u; k0 < depth; k0 += DEPTH) {
      left[i] = a;
      right[right_index(i)] = b;
      workgroupBarrier();
      // The next step's loads are under way while this one is computed.
      if (k0 + DEPTH < depth) {
        a = load_left(place, k0 + DEPTH + i % 4 * 4, skip);
        b = load_right(i, n0, k0 + DEPTH, skip, class_);
      }
      for (var s = 0u; s < 4; s++) {
        let at = s * 64 + column;
        var q = mat4x4f(right[at], right[at + 16], right[at + 32], right[at + 48]);
        if (!TRANSPOSED) {
          q = transpose(q);
        }
        let from_row = row * 16 + s;
        c += q * mat4x4f(left[from_row], left[from_row + 4], left[from_row + 8], left[from_row + 12]);
      }
      workgroupBarrier();
    }
  }
  for (var r = 0u; r < 4; r++) {
    let p = tile.x * 64 + row * 4 + r;
    let oy = p / GRID_W % GRID_H * OUT_STRIDE + class_.y;
    let ox = p % GRID_W * OUT_STRIDE + class_.x;
    if (p >= IMAGES * GRID_H * GRID_W || oy >= OUT_H || ox >= OUT_W) {
      continue;
    }
    let n = n0 + column * 4;
    let start = ((p / (GRID_W * GRID_H) * OUT_H + oy) * OUT_W + ox) * OUT + n;
    var v = c[r];
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
}
