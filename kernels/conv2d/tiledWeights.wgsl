// Weight gradient of a gathered convolution by tiles in shared memory, a matrix product over positions:
//   dw[split, class, n, t, k] = sum over the split's positions p of dy[p, n] * x[source(p, t), k]
// The same sums as gatherWeights, with plain buffers and WebGPU's default limits, for real GPUs.
// A workgroup of 256 owns ROWS channels n by COLUMNS elements (t, k) of one class and split; who owns which
// of them, and the constants TALL and WIDE, are in lib/tile.wgsl. LEFT_BY_K and RIGHT_BY_K are true: k of a
// tile are positions.
// x: lib/gathered.wgsl, with the other constants. dy [IMAGES, OUT_H, OUT_W, OUT]. DY_QUADS: its rows are
// whole vec4. dw [splits, CLASSES², 4 outQuads, taps, 4 inQuads]. A split is SPLIT_ROWS rows of the grid.
// CALLS > 0, with one split, one class and whole quads only: the weight is under spectral norm, and dw gets
// + sum_c dsigma[c] u[c,n] v[c,t,k] too; u [CALLS,OUT], v [CALLS,taps,IN].
// Grid: ceil(4 taps * inQuads / COLUMNS), ceil(OUT / ROWS), splits * CLASSES².
// needs: padding gathered OPERANDS=operands CORE=tile tileLoop
const DY_QUADS: bool = false;
const SPLIT_ROWS: u32 = 1;
const CALLS: u32 = 0;
// static: DY_QUADS

const IN_QUADS: u32 = (IN + 3) / 4;
const OUT_QUADS: u32 = (OUT + 3) / 4;
// Quads of a row of dw.
const ROW: u32 = TAPS_Y * TAPS_X * IN_QUADS;

@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> dsigma: array<f32>;
@group(0) @binding(3) var<storage, read> u: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dw: array<vec4f>;

// What an invocation loads: from position `start` on to `end`, channels n of dy, channels k of tap t of x.
struct Source {
  start: u32,
  end: u32,
  n: u32,
  class_: vec2u,
  t: vec2u,
  k: u32,
}

// Four elements of dy from `at` on, of which `count` are real.
fn dy_quad(at: u32, count: u32) -> vec4f {
  if (DY_QUADS) {
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
  let pixel = result_pixel(p, from_.class_);
  if (p >= from_.end || from_.n >= OUT || pixel < 0 || !brings_left(i)) {
    return vec4f(0);
  }
  return dy_quad(u32(pixel) * OUT + from_.n, OUT - from_.n);
}

fn load_right(from_: Source, i: u32, k: u32) -> vec4f {
  let p = from_.start + k + right_share(i).k;
  if (p >= from_.end || from_.t.y >= TAPS_Y || !brings_right(i)) {
    return vec4f(0);
  }
  return x_quad(seen_from(p, from_.class_) + vec3u(from_.t, 0), from_.k);
}

fn store(group: vec3u, row: u32, column: u32, sums: vec4f) {
  let line = group.y * ROWS + row;
  let m = (group.x * COLUMNS + column) / 4;
  if (line >= OUT_QUADS * 4 || m >= ROW) {
    return;
  }
  var sum = sums;
  for (var c = 0u; c < CALLS; c++) {
    sum = fma(vec4f(dsigma[c] * u[c * OUT + line]), v[c * ROW + m], sum);
  }
  dw[(group.z * OUT_QUADS * 4 + line) * ROW + m] = sum;
}

// First position of the workgroup's split, and the one after its last.
fn range_of(group: vec3u) -> vec2u {
  let start = split_of(group) * SPLIT_ROWS * GRID_W;
  return vec2u(start, min(start + SPLIT_ROWS * GRID_W, IMAGES * GRID_H * GRID_W));
}

fn depth_of(group: vec3u) -> u32 {
  let range = range_of(group);
  return range.y - range.x;
}

fn source_of(group: vec3u, i: u32) -> Source {
  let range = range_of(group);
  let m = (group.x * COLUMNS + right_share(i).line) / 4;
  let tap = m / IN_QUADS;
  return Source(
    range.x,
    range.y,
    group.y * ROWS + left_share(i).line,
    class_of(group),
    vec2u(tap % TAPS_X, tap / TAPS_X),
    m % IN_QUADS * 4,
  );
}
