// Weight gradient of a gathered convolution by tiles in shared memory, a matrix product over positions:
//   dw[split, class, n, t, k] = sum over the split's positions p of dy[p, n] * x[source(p, t), k]
// The same sums as gatherWeights, with plain buffers and WebGPU's default limits, for real GPUs.
// A workgroup of 256 owns ROWS channels n by COLUMNS elements (t, k) of one class and split; who owns which
// of them, and the constants TALL and WIDE, are in lib/tile.wgsl. LEFT_BY_K and RIGHT_BY_K are true: k of a
// tile are positions.
// x [IMAGES, H, W, IN], dy [IMAGES, OUT_H, OUT_W, OUT], dw [splits, CLASSES², 4 outQuads, taps, 4 inQuads].
// A split is SPLIT_ROWS rows of the grid. ALIGNED: IN and OUT are multiples of 4. Other constants: tiledRows.
// Grid: ceil(4 taps * inQuads / COLUMNS), ceil(OUT / ROWS), splits * CLASSES².
// needs: padding OPERANDS=operands CORE=tile tileLoop
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

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

// What an invocation loads: from position `start` on to `end`, channels n of dy, channels k of tap t of x.
struct Source {
  start: u32,
  end: u32,
  n: u32,
  class_: vec2u,
  t: vec2u,
  k: u32,
  known: bool, // there is such a tap
}

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

fn load_left(from_: Source, i: u32, k: u32) -> vec4f {
  let p = from_.start + k + left_share(i).k;
  let oy = p / GRID_W % GRID_H * OUT_STRIDE + from_.class_.y;
  let ox = p % GRID_W * OUT_STRIDE + from_.class_.x;
  if (p >= from_.end || from_.n >= OUT || oy >= OUT_H || ox >= OUT_W || !brings_left(i)) {
    return vec4f(0);
  }
  return dy_quad(((p / (GRID_W * GRID_H) * OUT_H + oy) * OUT_W + ox) * OUT + from_.n, OUT - from_.n);
}

fn load_right(from_: Source, i: u32, k: u32) -> vec4f {
  let p = from_.start + k + right_share(i).k;
  let at = vec2u(p % GRID_W, p / GRID_W % GRID_H) * IN_STRIDE + from_.t;
  let sy = padded_source(i32(at.y) - i32(BEFORE_Y), i32(H * UP), MODE);
  let sx = padded_source(i32(at.x) - i32(BEFORE_X), i32(W * UP), MODE);
  if (sy < 0 || sx < 0 || p >= from_.end || !from_.known || !brings_right(i)) {
    return vec4f(0);
  }
  let image = p / (GRID_W * GRID_H);
  return x_quad(((image * H + u32(sy) / UP) * W + u32(sx) / UP) * IN + from_.k, IN - from_.k);
}

fn store(group: vec3u, row: u32, column: u32, sums: vec4f) {
  let line = group.y * ROWS + row;
  let m = (group.x * COLUMNS + column) / 4;
  if (line < OUT_QUADS * 4 && m < TAPS_Y * TAPS_X * IN_QUADS) {
    dw[(group.z * OUT_QUADS * 4 + line) * TAPS_Y * TAPS_X * IN_QUADS + m] = sums;
  }
}

// First position of the workgroup's split, and the one after its last.
fn split_of(group: vec3u) -> vec2u {
  let start = group.z / (CLASSES * CLASSES) * SPLIT_ROWS * GRID_W;
  return vec2u(start, min(start + SPLIT_ROWS * GRID_W, IMAGES * GRID_H * GRID_W));
}

fn depth_of(group: vec3u) -> u32 {
  let split = split_of(group);
  return split.y - split.x;
}

fn source_of(group: vec3u, i: u32) -> Source {
  let parts = CLASSES * CLASSES;
  let class_ = vec2u(group.z % CLASSES, group.z % parts / CLASSES);
  let split = split_of(group);
  let m = (group.x * COLUMNS + right_share(i).line) / 4;
  let tap = m / IN_QUADS;
  return Source(
    split.x,
    split.y,
    group.y * ROWS + left_share(i).line,
    class_,
    vec2u(tap % TAPS_X, tap / TAPS_X) + class_ * CLASS_STEP,
    m % IN_QUADS * 4,
    tap < TAPS_Y * TAPS_X,
  );
}
