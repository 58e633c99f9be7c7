// Batched matrix product of the Winograd convolution:
//   C[z][m][n] = sum over k of A[z][m][k] B[z / sharing][k][n]
// for GPUs: a workgroup of 256 owns 64 x 64 of C, an invocation 4 x 4. Tiles of 64 x 32 of both operands pass
// through workgroup memory (16 KiB, the default limit), [k][m / 4] and [k][n / 4]: half of the invocations
// load a block of 4 x 4 of A each, half of B, into registers while the tiles before are being multiplied.
// A_BY_K: A is stored [k][m] instead of [m][k]. B_BY_K: B is stored [k][n] instead of [n][k].
// m, n, k multiples of 4. Grid: ceil(m / 64), ceil(n / 64), layers.
// static: A_BY_K B_BY_K
const A_BY_K: bool = false;
const B_BY_K: bool = false;
const SPAN: u32 = 32;

struct Sizes {
  m: u32,
  n: u32,
  k: u32,
  sharing: u32, // layers of A that use one layer of B
}

@group(0) @binding(0) var<storage, read> sizes: Sizes;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

var<workgroup> a_tile: array<vec4f, SPAN * 16>;
var<workgroup> b_tile: array<vec4f, SPAN * 16>;

// Row `i` of the block at (quad of m, quad of k), as stored, of layer z of A; zero outside.
fn a_row(m: u32, k: u32, z: u32, i: u32) -> vec4f {
  if (m * 4 >= sizes.m || k * 4 >= sizes.k) {
    return vec4f(0);
  }
  if (A_BY_K) {
    return a[((z * sizes.k + k * 4 + i) * sizes.m) / 4 + m];
  }
  return a[((z * sizes.m + m * 4 + i) * sizes.k) / 4 + k];
}

fn b_row(n: u32, k: u32, z: u32, i: u32) -> vec4f {
  if (n * 4 >= sizes.n || k * 4 >= sizes.k) {
    return vec4f(0);
  }
  if (B_BY_K) {
    return b[((z * sizes.k + k * 4 + i) * sizes.n) / 4 + n];
  }
  return b[((z * sizes.n + n * 4 + i) * sizes.k) / 4 + k];
}

// What an invocation brings: a block of 4 x 4, a column per k.
struct Share {
  of_a: bool,
  quad: u32, // of m or n
  k: u32,    // quad of k in the tile
}

fn share_of(local: u32) -> Share {
  let of_a = local < 128;
  let block = local % 128;
  if (select(B_BY_K, A_BY_K, of_a)) {
    return Share(of_a, block % 16, block / 16);
  }
  return Share(of_a, block / 8, block % 8);
}

fn fetch(share: Share, tile: vec3u, k: u32) -> mat4x4f {
  let at = k + share.k;
  if (share.of_a) {
    let m = tile.x * 16 + share.quad;
    let z = tile.z;
    let v = mat4x4f(a_row(m, at, z, 0), a_row(m, at, z, 1), a_row(m, at, z, 2), a_row(m, at, z, 3));
    if (A_BY_K) {
      return v;
    }
    return transpose(v);
  }
  let n = tile.y * 16 + share.quad;
  let z = tile.z / sizes.sharing;
  let v = mat4x4f(b_row(n, at, z, 0), b_row(n, at, z, 1), b_row(n, at, z, 2), b_row(n, at, z, 3));
  if (B_BY_K) {
    return v;
  }
  return transpose(v);
}

fn keep(share: Share, block: mat4x4f) {
  let at = share.k * 4 * 16 + share.quad;
  for (var i = 0u; i < 4; i++) {
    if (share.of_a) {
      a_tile[at + i * 16] = block[i];
    } else {
      b_tile[at + i * 16] = block[i];
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) local: u32) {
  let share = share_of(local);
  let row = local / 16;
  let column = local % 16;
  var sum: array<vec4f, 4>;
  var next = fetch(share, tile, 0);
  let steps = sizes.k / 4;
  for (var k = 0u; k < steps; k += SPAN / 4) {
    workgroupBarrier();
    keep(share, next);
    workgroupBarrier();
    next = fetch(share, tile, k + SPAN / 4);
    for (var i = 0u; i < SPAN; i++) {
      let left = a_tile[i * 16 + row];
      let right = b_tile[i * 16 + column];
      sum[0] += left.x * right;
      sum[1] += left.y * right;
      sum[2] += left.z * right;
      sum[3] += left.w * right;
    }
  }
  let m = tile.x * 64 + row * 4;
  let n = tile.y * 16 + column;
  if (m >= sizes.m || n * 4 >= sizes.n) {
    return;
  }
  for (var i = 0u; i < 4; i++) {
    c[((tile.z * sizes.m + m + i) * sizes.n) / 4 + n] = sum[i];
  }
}
