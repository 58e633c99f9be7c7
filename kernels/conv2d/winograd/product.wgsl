// Batched matrix product of the Winograd convolution:
//   C[z][m][n] = sum over k of A[z][m][k] B[z / sharing][k][n]
// for adapters where arithmetic is cheap and loads are dear (lavapipe). One subgroup of 8 lanes owns 8 ROWS
// rows by 32 columns: a lane holds rows lane, lane + 8, ... of A; B is spread over the lanes and handed round
// by subgroupShuffle with a constant lane, so that one load of it serves all rows. Accumulators: vec4f over
// n. Operands are texture arrays, x = contiguous index / 4, y = row, layer = z: such a load is a short
// function without branches there, two to three times as fast as one from a buffer. With stores it is the
// other way. A_BY_K: A is stored [k][m] (a lane then holds neighbouring m) instead of [m][k]. B_BY_K: B is
// stored [k][n] instead of [n][k]. ROWS: 2, 4 or 8; with A_BY_K 4 or 8. m, n, k: multiples of 4. Texels
// outside of the matrices come out as anything; what they make is not stored. ROW_COUNT is ROWS, in a place
// where processors shall loop instead of repeating a body of 300 instructions.
// static: A_BY_K B_BY_K
enable subgroups;

const ROWS: u32 = 8;
const A_BY_K: bool = false;
const B_BY_K: bool = false;
const ROW_COUNT: u32 = 8;
const LANES: u32 = 8;

struct Sizes {
  m: u32,
  n: u32,
  k: u32,
  sharing: u32, // layers of A that use one layer of B
}

@group(0) @binding(0) var<storage, read> sizes: Sizes;
@group(0) @binding(1) var a_source: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var b_source: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

alias Rows = array<vec4f, ROWS>;

fn a_at(x: u32, y: u32, z: u32) -> vec4f {
  return textureLoad(a_source, vec2u(x, y), z);
}

fn b_at(x: u32, y: u32, z: u32) -> vec4f {
  return textureLoad(b_source, vec2u(x, y), z);
}

// One quad of columns. The compiler unrolls this loop and the calls of it; nested loops it would not.
fn madd(sum: ptr<function, Rows>, a: ptr<function, Rows>, b: mat4x4f) {
  for (var r = 0u; r < ROWS; r++) {
    sum[r] += b * a[r];
  }
}

// Quad q of the columns as a matrix of 4 k by 4 n: of lane q where lanes hold a quad of n for each of 4 k,
// of lanes 4 q .. 4 q + 3 (eight a vector) where they hold four k for one n.
fn quad(b: mat4x4f, q: u32) -> mat4x4f {
  if (B_BY_K) {
    return mat4x4f(
      subgroupShuffle(b[0], q),
      subgroupShuffle(b[1], q),
      subgroupShuffle(b[2], q),
      subgroupShuffle(b[3], q),
    );
  }
  let lane = q % 2 * 4;
  return transpose(mat4x4f(
    subgroupShuffle(b[q / 2], lane),
    subgroupShuffle(b[q / 2], lane + 1),
    subgroupShuffle(b[q / 2], lane + 2),
    subgroupShuffle(b[q / 2], lane + 3),
  ));
}

fn load_a(m: u32, k: u32, z: u32) -> Rows {
  var a: Rows;
  if (A_BY_K) {
    for (var r = 0u; r < ROWS; r += 4) {
      let x = m + r / 4 * LANES;
      let y = k * 4;
      let t = transpose(mat4x4f(a_at(x, y, z), a_at(x, y + 1, z), a_at(x, y + 2, z), a_at(x, y + 3, z)));
      a[r] = t[0];
      a[min(r + 1, ROWS - 1)] = t[1];
      a[min(r + 2, ROWS - 1)] = t[2];
      a[min(r + 3, ROWS - 1)] = t[3];
    }
    return a;
  }
  for (var r = 0u; r < ROWS; r++) {
    a[r] = a_at(k, m + r * LANES, z);
  }
  return a;
}

fn load_b(n: u32, k: u32, z: u32, lane: u32) -> mat4x4f {
  if (B_BY_K) {
    let x = n + lane;
    let y = k * 4;
    return mat4x4f(b_at(x, y, z), b_at(x, y + 1, z), b_at(x, y + 2, z), b_at(x, y + 3, z));
  }
  let y = n * 4 + lane;
  return mat4x4f(b_at(k, y, z), b_at(k, y + 8, z), b_at(k, y + 16, z), b_at(k, y + 24, z));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let m = select(tile.x * ROWS * LANES, tile.x * ROWS / 4 * LANES, A_BY_K) + lane;
  let n = tile.y * 8; // in quads
  let z = tile.z;
  let zb = z / sizes.sharing;
  var c0: Rows;
  var c1: Rows;
  var c2: Rows;
  var c3: Rows;
  var c4: Rows;
  var c5: Rows;
  var c6: Rows;
  var c7: Rows;
  let steps = sizes.k / 4;
  for (var k = 0u; k < steps; k++) {
    var a = load_a(m, k, z);
    let b = load_b(n, k, zb, lane);
    madd(&c0, &a, quad(b, 0));
    madd(&c1, &a, quad(b, 1));
    madd(&c2, &a, quad(b, 2));
    madd(&c3, &a, quad(b, 3));
    madd(&c4, &a, quad(b, 4));
    madd(&c5, &a, quad(b, 5));
    madd(&c6, &a, quad(b, 6));
    madd(&c7, &a, quad(b, 7));
  }
  var out: array<Rows, 8>;
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
  out[4] = c4;
  out[5] = c5;
  out[6] = c6;
  out[7] = c7;
  let quads = sizes.n / 4;
  for (var r = 0u; r < ROW_COUNT; r++) {
    let y = select(m + r * LANES, (m + r / 4 * LANES) * 4 + r % 4, A_BY_K);
    if (y < sizes.m) {
      for (var q = 0u; q < min(8, quads - n); q++) {
        c[(z * sizes.m + y) * quads + n + q] = out[q][r];
      }
    }
  }
}
