// Batched matrix product of the Winograd convolution:
//   C[z][m][n] = sum over k of A[z][m][k] B[z / sharing][k][n]
// for GPUs: a workgroup of 256 owns ROWS x COLUMNS of C; who owns which of them, and the constants TALL and
// WIDE, are in lib/tile.wgsl.
// LEFT_BY_K: A is stored [k][m] instead of [m][k]. RIGHT_BY_K: B is stored [k][n] instead of [n][k].
// m, n, k multiples of 4. Grid: ceil(m / ROWS), ceil(n / COLUMNS), layers.
// needs: operands tile tileLoop
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

// What an invocation loads: rows m and columns n of layer z.
struct Source {
  m: u32,
  n: u32,
  z: u32,
}

fn load_left(p: Source, i: u32, k0: u32) -> vec4f {
  let k = k0 + left_share(i).k;
  if (p.m >= sizes.m || k >= sizes.k || !brings_left(i)) {
    return vec4f(0);
  }
  if (LEFT_BY_K) {
    return a[((p.z * sizes.k + k) * sizes.m + p.m) / 4];
  }
  return a[((p.z * sizes.m + p.m) * sizes.k + k) / 4];
}

fn load_right(p: Source, i: u32, k0: u32) -> vec4f {
  let k = k0 + right_share(i).k;
  if (p.n >= sizes.n || k >= sizes.k || !brings_right(i)) {
    return vec4f(0);
  }
  let z = p.z / sizes.sharing;
  if (RIGHT_BY_K) {
    return b[((z * sizes.k + k) * sizes.n + p.n) / 4];
  }
  return b[((z * sizes.n + p.n) * sizes.k + k) / 4];
}

fn store(group: vec3u, row: u32, column: u32, sums: vec4f) {
  let m = group.x * ROWS + row;
  let n = group.y * COLUMNS + column;
  if (m < sizes.m && n < sizes.n) {
    c[((group.z * sizes.m + m) * sizes.n + n) / 4] = sums;
  }
}

fn depth_of(group: vec3u) -> u32 {
  return sizes.k;
}

fn source_of(group: vec3u, i: u32) -> Source {
  let m = group.x * ROWS + left_share(i).line;
  return Source(m, group.y * COLUMNS + right_share(i).line, group.z);
}
