enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// Products of two tiles in workgroup memory by tensor cores, the inner part of lib/tileLoop.wgsl in place of
// lib/tile.wgsl: 16 x 16 x 16 products of 16-bit floats that are added in 32 bits.
// Eight subgroups of 32 share the ROWS x COLUMNS of C, four down and two across: a subgroup owns 16 or (TALL)
// 32 rows by 32 or (WIDE) 64 columns of it. Results leave through workgroup memory, since only the hardware
// knows which invocation holds which element.
// left: [line][k], 16 a line, or (LEFT_BY_K) [k][line], ROWS + 8 a k so that rows start in different banks;
// right alike. Together 17408 bytes, with TALL or WIDE 25600. With lib/operandsHalf.wgsl only.

const DEPTH: u32 = 16;
// An invocation brings one quad to a tile of 64 x 16, two to one of 128 x 16.
const PARTS: u32 = DEPTH / (4 * SPAN);
const PAD: u32 = 8;
// Numbers of a tile: the second one starts there.
const TILE: u32 = DEPTH * (select(64u, 128u, TALL || WIDE) + PAD);
const SUBGROUP: u32 = 32;
const SIDE_OF_UNIT: u32 = 16;
const UNIT: u32 = SIDE_OF_UNIT * SIDE_OF_UNIT;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Result = subgroup_matrix_result<f32, 16, 16>;

var<workgroup> left: array<f16, 2 * TILE>;
var<workgroup> right: array<f16, 2 * TILE>;
// One result of each subgroup on its way out.
var<workgroup> leaving: array<f32, 8 * UNIT>;

// c01: rows of the first unit, columns of the second. By name: an index could send them out of registers.
struct Sums {
  c00: Result,
  c01: Result,
  c02: Result,
  c03: Result,
  c10: Result,
  c11: Result,
  c12: Result,
  c13: Result,
}

// Where the four numbers of a share lie.
fn place_of(share: Share, part: u32, size: u32, by_k: bool) -> u32 {
  let k = share.k + part * 4 * SPAN;
  return select(share.line * DEPTH + k, k * (size + PAD) + share.line, by_k);
}

// Puts what invocation i brought into the tile that starts at `tile`.
fn keep(tile: u32, i: u32, part: u32, a: vec4f, b: vec4f) {
  if (brings_left(i)) {
    let at = tile + place_of(left_share(i), part, ROWS, LEFT_BY_K);
    let v = left_operand(a);
    left[at] = v.x;
    left[at + 1] = v.y;
    left[at + 2] = v.z;
    left[at + 3] = v.w;
  }
  if (brings_right(i)) {
    let at = tile + place_of(right_share(i), part, COLUMNS, RIGHT_BY_K);
    let v = right_operand(b);
    right[at] = v.x;
    right[at + 1] = v.y;
    right[at + 2] = v.z;
    right[at + 3] = v.w;
  }
}

fn left_unit(tile: u32, row: u32) -> Left {
  if (LEFT_BY_K) {
    return subgroupMatrixLoad<Left, col_major>(&left, tile + row, ROWS + PAD);
  }
  return subgroupMatrixLoad<Left, row_major>(&left, tile + row * DEPTH, DEPTH);
}

fn right_unit(tile: u32, column: u32) -> Right {
  if (RIGHT_BY_K) {
    return subgroupMatrixLoad<Right, row_major>(&right, tile + column, COLUMNS + PAD);
  }
  return subgroupMatrixLoad<Right, col_major>(&right, tile + column * DEPTH, DEPTH);
}

// at: first row and column of the subgroup.
fn add_products(sums: Sums, tile: u32, at: vec2u) -> Sums {
  var c = sums;
  let a = left_unit(tile, at.x);
  let b0 = right_unit(tile, at.y);
  let b1 = right_unit(tile, at.y + 16);
  c.c00 = subgroupMatrixMultiplyAccumulate(a, b0, c.c00);
  c.c01 = subgroupMatrixMultiplyAccumulate(a, b1, c.c01);
  if (TALL) {
    let below = left_unit(tile, at.x + 16);
    c.c10 = subgroupMatrixMultiplyAccumulate(below, b0, c.c10);
    c.c11 = subgroupMatrixMultiplyAccumulate(below, b1, c.c11);
  }
  if (WIDE) {
    let b2 = right_unit(tile, at.y + 32);
    let b3 = right_unit(tile, at.y + 48);
    c.c02 = subgroupMatrixMultiplyAccumulate(a, b2, c.c02);
    c.c03 = subgroupMatrixMultiplyAccumulate(a, b3, c.c03);
    if (TALL) {
      let below = left_unit(tile, at.x + 16);
      c.c12 = subgroupMatrixMultiplyAccumulate(below, b2, c.c12);
      c.c13 = subgroupMatrixMultiplyAccumulate(below, b3, c.c13);
    }
  }
  return c;
}

// One result of each subgroup to the kernel's `store`: an invocation takes two quads of its subgroup's.
fn store_unit(group: vec3u, i: u32, subgroup: u32, at: vec2u, c: Result) {
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&leaving, subgroup * UNIT, c, SIDE_OF_UNIT);
  workgroupBarrier();
  for (var quad = i % SUBGROUP; quad < UNIT / 4; quad += SUBGROUP) {
    let from_ = i / SUBGROUP * UNIT + 4 * quad;
    let v = vec4f(leaving[from_], leaving[from_ + 1], leaving[from_ + 2], leaving[from_ + 3]);
    let place = start_of(i / SUBGROUP) + at + vec2u(quad / 4, quad % 4 * 4);
    store(group, place.x, place.y, result_of(v));
  }
}

// First row and column of a subgroup.
fn start_of(subgroup: u32) -> vec2u {
  return vec2u(subgroup / 2 * (ROWS / 4), subgroup % 2 * (COLUMNS / 2));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) i: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let sums = sum_tiles(source_of(group, i), depth_of(group), i, start_of(subgroup));
  store_unit(group, i, subgroup, vec2u(0, 0), sums.c00);
  store_unit(group, i, subgroup, vec2u(0, 16), sums.c01);
  if (WIDE) {
    store_unit(group, i, subgroup, vec2u(0, 32), sums.c02);
    store_unit(group, i, subgroup, vec2u(0, 48), sums.c03);
  }
  if (TALL) {
    store_unit(group, i, subgroup, vec2u(16, 0), sums.c10);
    store_unit(group, i, subgroup, vec2u(16, 16), sums.c11);
  }
  if (TALL && WIDE) {
    store_unit(group, i, subgroup, vec2u(16, 32), sums.c12);
    store_unit(group, i, subgroup, vec2u(16, 48), sums.c13);
  }
}
