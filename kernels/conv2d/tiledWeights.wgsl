// Weight gradient of a gathered convolution by tiles in shared memory, a matrix product over positions:
//   dw[split, class, n, t, k] = sum over the split's positions p of dy[p, n] * x[source(p, t), k]
// The same sums as gatherWeights, with plain buffers and WebGPU's default limits, for real GPUs.
// A workgroup of 256 owns 64 channels n by 64 elements (t, k) of one class and split, an invocation 4 by 4.
// x [IMAGES, H, W, IN], dy [IMAGES, OUT_H, OUT_W, OUT], dw [splits, CLASSES², 4 outQuads, taps, 4 inQuads].
// A split is SPLIT_ROWS rows of the grid. ALIGNED: IN and OUT are multiples of 4. Other constants: tiledRows.
// Grid: ceil(taps * inQuads / 16), ceil(OUT / 64), splits * CLASSES².
// needs: padding
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
const SPLIT_ROWS: u32 = 1;
const ALIGNED: bool = false;
// static: ALIGNED

const IN_QUADS: u32 = (IN + 3) / 4;
const OUT_QUADS: u32 = (OUT + 3) / 4;
const DEPTH: u32 = 16;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

// Position k of the step and quad of channels: k * 16 + quad.
var<workgroup> left: array<vec4f, 256>;
var<workgroup> right: array<vec4f, 256>;

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

fn dy_quad(at: u32, count: u32) -> vec4f {
  if (ALIGNED) {
    return dy[at / 4];
  }
  var v = vec4f(0);
  for (var i = 0u; i < min(4, count); i++) {
    v[i] = dy[(at + i) / 4][(at + i) % 4];
  }
  return v;
}

fn load_left(p: u32, n: u32, class_: vec2u) -> vec4f {
  let oy = p / GRID_W % GRID_H * OUT_STRIDE + class_.y;
  let ox = p % GRID_W * OUT_STRIDE + class_.x;
  if (n >= OUT || oy >= OUT_H || ox >= OUT_W) {
    return vec4f(0);
  }
  return dy_quad(((p / (GRID_W * GRID_H) * OUT_H + oy) * OUT_W + ox) * OUT + n, OUT - n);
}

// t: column and row of the tap, k: first of four channels.
fn load_right(p: u32, t: vec2u, k: u32) -> vec4f {
  let at = vec2u(p % GRID_W, p / GRID_W % GRID_H) * IN_STRIDE + t;
  let sy = padded_source(i32(at.y) - i32(BEFORE_Y), i32(H * UP), MODE);
  let sx = padded_source(i32(at.x) - i32(BEFORE_X), i32(W * UP), MODE);
  if (sy < 0 || sx < 0) {
    return vec4f(0);
  }
  let image = p / (GRID_W * GRID_H);
  return x_quad(((image * H + u32(sy) / UP) * W + u32(sx) / UP) * IN + k, IN - k);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) i: u32) {
  let parts = CLASSES * CLASSES;
  let class_ = vec2u(tile.z % CLASSES, tile.z % parts / CLASSES);
  let start = tile.z / parts * SPLIT_ROWS * GRID_W;
  let end = min(start + SPLIT_ROWS * GRID_W, IMAGES * GRID_H * GRID_W);
  let row = i / 16;
  let column = i % 16;
  let n = tile.y * 64 + column * 4;
  let m = tile.x * 16 + column;
  let tap = m / IN_QUADS;
  let t = vec2u(tap % TAPS_X, tap / TAPS_X) + class_ * CLASS_STEP;
  let known = tap < TAPS_Y * TAPS_X;
  var c: mat4x4f;
  for (var p0 = start; p0 < end; p0 += DEPTH) {
    let p = p0 + row;
    var a = vec4f(0);
    var b = vec4f(0);
    if (p < end) {
      a = load_left(p, n, class_);
      if (known) {
        b = load_right(p, t, m % IN_QUADS * 4);
      }
    }
    left[i] = a;
    right[i] = b;
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let l = left[k * 16 + row];
      let r = right[k * 16 + column];
      c += mat4x4f(l.x * r, l.y * r, l.z * r, l.w * r);
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < 4; r++) {
    let line = tile.y * 64 + row * 4 + r;
    if (line < OUT_QUADS * 4 && known) {
      dw[(tile.z * OUT_QUADS * 4 + line) * TAPS_Y * TAPS_X * IN_QUADS + m] = c[r];
    }
  }
}
