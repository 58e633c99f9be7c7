// Products of two tiles in workgroup memory by plain multiply-adds, the inner part of lib/tileLoop.wgsl:
//   C[m, n] = sum over k of left[m, k] * right[k, n]
// A workgroup owns ROWS x COLUMNS of C, 64 or (TALL, WIDE) 128 each. Of every 64 x 64 of them an invocation
// owns rows 4 row .. 4 row + 3 and columns 4 column .. 4 column + 3, see `lane_of`: 8 x 8 sums in registers
// for a tile of 128 x 128, which reads 16 vec4f from workgroup memory for 256 multiply-adds, twice as many as
// the 4 x 4 of a small tile do for as many reads.
// Which numbers the tiles hold, `Quad`, is in lib/operands.wgsl or in lib/operandsHalf.wgsl.
// Two tiles of each operand fill 16 KiB, WebGPU's default limit. DEEP: those of 128 x 128 have twice as many
// k, which takes 32 KiB; the sums are the same, in half as many rounds.
// How many quads of each operand an invocation brings to a tile, and k of a tile.
const PARTS: u32 = select(1u, 2u, DEEP && TALL && WIDE);
const DEPTH: u32 = 4 * SPAN * PARTS;
// Quads of a tile: the second one starts there.
const TILE: u32 = 256 * PARTS;

var<workgroup> left: array<Quad, 2 * TILE>;
var<workgroup> right: array<Quad, 2 * TILE>;

// Sums of the 64 x 64 parts, a column of a matrix per row of C: c01 of columns from 64 on, c10 of such rows.
struct Sums {
  c00: mat4x4f,
  c01: mat4x4f,
  c10: mat4x4f,
  c11: mat4x4f,
}

// Row and column of an invocation, 0 to 15: 32 neighbours form 4 x 8, which touch fewest different quads.
// PAIRS: 8 x 4, of which neighbours share rows and every second pair columns, as suits GPUs that read 16
// bytes for half a subgroup at a time.
fn lane_of(i: u32) -> vec2u {
  if (PAIRS) {
    return vec2u(i / 32 % 2 * 8 + i / 2 % 8, i / 64 * 4 + i % 2 + i / 16 % 2 * 2);
  }
  return vec2u(i / 64 * 4 + i % 32 / 8, i / 32 % 2 * 8 + i % 8);
}

// Place of four k (quad s) of a line. Both the 8 lanes that store neighbouring (line, s) and the 8 that read
// lines 4 apart meet eight different places modulo 8, so that no two of them share banks.
fn crossed(line: u32, s: u32, size: u32) -> u32 {
  let j = line % 4;
  return (s * 4 + j) * (size / 4) + ((line / 4) ^ (s * (8 / SPAN) + j % (8 / SPAN)));
}

fn place_of(i: u32, part: u32, size: u32, by_k: bool) -> u32 {
  return select(crossed(i / SPAN, part * SPAN + i % SPAN, size), part * 256 + i, by_k);
}

// Puts what invocation i brought into the tile that starts at `tile`.
fn keep(tile: u32, i: u32, part: u32, a: vec4f, b: vec4f) {
  if (brings_left(i)) {
    left[tile + place_of(i, part, ROWS, LEFT_BY_K)] = left_operand(a);
  }
  if (brings_right(i)) {
    right[tile + place_of(i, part, COLUMNS, RIGHT_BY_K)] = right_operand(b);
  }
}

fn block_of(a: Quad, b: Quad, c: Quad, d: Quad) -> mat4x4f {
  return mat4x4f(vec4f(a), vec4f(b), vec4f(c), vec4f(d));
}

// Four rows from 4 quad on and four k of quad s, a row per column of the result.
fn left_block(tile: u32, s: u32, quad: u32) -> mat4x4f {
  if (LEFT_BY_K) {
    let at = tile + s * ROWS + quad;
    const NEXT = ROWS / 4;
    return transpose(block_of(left[at], left[at + NEXT], left[at + 2 * NEXT], left[at + 3 * NEXT]));
  }
  let line = 4 * quad;
  return block_of(
    left[tile + crossed(line, s, ROWS)],
    left[tile + crossed(line + 1, s, ROWS)],
    left[tile + crossed(line + 2, s, ROWS)],
    left[tile + crossed(line + 3, s, ROWS)],
  );
}

// Four columns from 4 quad on and four k of quad s, a k per column of the result.
fn right_block(tile: u32, s: u32, quad: u32) -> mat4x4f {
  if (RIGHT_BY_K) {
    let at = tile + s * COLUMNS + quad;
    const NEXT = COLUMNS / 4;
    return block_of(right[at], right[at + NEXT], right[at + 2 * NEXT], right[at + 3 * NEXT]);
  }
  let line = 4 * quad;
  return transpose(
    block_of(
      right[tile + crossed(line, s, COLUMNS)],
      right[tile + crossed(line + 1, s, COLUMNS)],
      right[tile + crossed(line + 2, s, COLUMNS)],
      right[tile + crossed(line + 3, s, COLUMNS)],
    ),
  );
}

// One multiply-add after the other: `c + b * a` of matrices would add a rounded product, a fifth more work.
fn add_row(c: vec4f, a: vec4f, b: mat4x4f) -> vec4f {
  return c + a.x * b[0] + a.y * b[1] + a.z * b[2] + a.w * b[3];
}

fn add_block(c: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(
    add_row(c[0], a[0], b),
    add_row(c[1], a[1], b),
    add_row(c[2], a[2], b),
    add_row(c[3], a[3], b),
  );
}

// The sums with the products of the tile added. All by name: an index would send them out of registers.
fn add_products(sums: Sums, tile: u32, lane: vec2u) -> Sums {
  var c = sums;
  for (var s = 0u; s < SPAN * PARTS; s++) {
    let a = left_block(tile, s, lane.x);
    let b = right_block(tile, s, lane.y);
    c.c00 = add_block(c.c00, a, b);
    if (WIDE) {
      let beside = right_block(tile, s, lane.y + 16);
      c.c01 = add_block(c.c01, a, beside);
      if (TALL) {
        let below = left_block(tile, s, lane.x + 16);
        c.c10 = add_block(c.c10, below, b);
        c.c11 = add_block(c.c11, below, beside);
      }
    } else if (TALL) {
      c.c10 = add_block(c.c10, left_block(tile, s, lane.x + 16), b);
    }
  }
  return c;
}

fn store_block(group: vec3u, row: u32, column: u32, c: mat4x4f) {
  // Indexed in a copy, for the same reason.
  var lines = c;
  for (var r = 0u; r < 4; r++) {
    store(group, row + r, column, result_of(lines[r]));
  }
}

// Hands all sums to the kernel's `store`, four columns of one row at a time.
fn store_sums(group: vec3u, lane: vec2u, sums: Sums) {
  let at = 4 * lane;
  store_block(group, at.x, at.y, sums.c00);
  if (WIDE) {
    store_block(group, at.x, at.y + 64, sums.c01);
  }
  if (TALL) {
    store_block(group, at.x + 64, at.y, sums.c10);
  }
  if (TALL && WIDE) {
    store_block(group, at.x + 64, at.y + 64, sums.c11);
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) i: u32) {
  let lane = lane_of(i);
  store_sums(group, lane, sum_tiles(source_of(group, i), depth_of(group), i, lane));
}
