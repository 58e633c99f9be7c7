// Matrix products C[m, n] = sum over k of left[m, k] * right[k, n] by tiles in workgroup memory: a workgroup
// of 256 owns ROWS x COLUMNS of C, 64 or (TALL, WIDE) 128 each. While one tile is multiplied, the loads of
// the next are under way, and it goes into the other half of workgroup memory: one barrier a step.
// The kernel has `struct Source` and `source_of` (what an invocation loads), `depth_of` (k of the workgroup),
// `load_left` and `load_right` (four numbers from k on, zero outside) and `store` (four columns of a row).
// Tiles, products and the entry point are in lib/tile.wgsl or, for tensor cores, in lib/tileMatrix.wgsl.
// LEFT_BY_K: four neighbouring rows of one k come as a quad, else four neighbouring k of one row; RIGHT_BY_K
// the same for columns.
// PAIRS, DEEP: see lib/tile.wgsl; lib/tileMatrix.wgsl knows neither.
// static: TALL WIDE LEFT_BY_K RIGHT_BY_K PAIRS DEEP
const TALL: bool = false;
const WIDE: bool = false;
const LEFT_BY_K: bool = false;
const RIGHT_BY_K: bool = false;
const PAIRS: bool = false;
const DEEP: bool = false;

const ROWS: u32 = select(64u, 128u, TALL);
const COLUMNS: u32 = select(64u, 128u, WIDE);
// Quads of k that the invocations of a workgroup bring to a tile at a time.
const SPAN: u32 = select(4u, 2u, TALL || WIDE);

// What invocation i brings to an operand of `size` rows (or columns): the first of them, and the first k.
struct Share {
  line: u32,
  k: u32,
}

fn share_of(i: u32, size: u32, by_k: bool) -> Share {
  if (by_k) {
    return Share(i % (size / 4) * 4, i / (size / 4));
  }
  return Share(i / SPAN, i % SPAN * 4);
}

fn left_share(i: u32) -> Share {
  return share_of(i, ROWS, LEFT_BY_K);
}

fn right_share(i: u32) -> Share {
  return share_of(i, COLUMNS, RIGHT_BY_K);
}

// A tile of 64 lines and 8 k has quads for half of the invocations only.
fn brings_left(i: u32) -> bool {
  return i < ROWS * SPAN;
}

fn brings_right(i: u32) -> bool {
  return i < COLUMNS * SPAN;
}

// Sums over k below `depth`, which is uniform in the workgroup. Each piece of code is there once, for shader
// compilers on processors: a round loads a tile, multiplies the one before, and keeps what it loaded.
fn sum_tiles(source: Source, depth: u32, i: u32, lane: vec2u) -> Sums {
  var sums = Sums();
  var tile = 0u;
  for (var k = 0u; ; k += DEPTH) {
    var a: array<vec4f, PARTS>;
    var b: array<vec4f, PARTS>;
    if (k < depth) {
      a[0] = load_left(source, i, k);
      b[0] = load_right(source, i, k);
      if (PARTS > 1) {
        a[PARTS - 1] = load_left(source, i, k + 4 * SPAN);
        b[PARTS - 1] = load_right(source, i, k + 4 * SPAN);
      }
    }
    if (k > 0) {
      sums = add_products(sums, TILE - tile, lane);
    }
    if (k >= depth) {
      return sums;
    }
    keep(tile, i, 0, a[0], b[0]);
    if (PARTS > 1) {
      keep(tile, i, 1, a[PARTS - 1], b[PARTS - 1]);
    }
    workgroupBarrier();
    tile = TILE - tile;
  }
}
