// Weight gradient of a gathered convolution, a matrix product over positions:
//   dw[split, class, n, t, k] (+)= sum over the split's positions p of x[source(p) + t, k] * dy[p, n]
// One subgroup owns ROWS * SUBGROUP rows (t, k) by 4 * QUADS channels n of one class and split. A lane owns
// ROWS / 4 quads of k, gathered from the padded feature map; dy is spread over the lanes and handed round.
// x, dy: texel column * quads + quad of channels, row, layer image. dy is zero from gridW up to the next
// multiple of 4, where x is finite. dw: buffer [splits, classes², 4 outQuads, taps, 4 inQuads]. A split is
// splitRows rows of the grid. Grid: ceil(taps * inQuads / (ROWS / 4 * SUBGROUP)), ceil(outQuads / QUADS),
// splits * classes². ROWS: 4 or 8. QUADS: 4, 6 or 8. SUBGROUP: 8.
// With geometry.calls (up to 4) the weight is under spectral norm, and split 0 gets + sum over calls c of
// dsigma[c] u[c,n] v[c,t,k] too, as if there were four more positions; then channels are whole quads, there
// is one class, u is [calls, 4 outQuads] and v [calls, taps, 4 inQuads].
// ADD: adds to what dw holds.
// static: QUADS
// needs: geometry
enable subgroups;

const ROWS: u32 = 8;
const QUADS: u32 = 8;
const SUBGROUP: u32 = 8;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> geometry: Geometry;
@group(0) @binding(1) var x: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var dy: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(3) var<storage, read> dsigma: array<f32>;
@group(0) @binding(4) var<storage, read> u: array<vec4f>;
@group(0) @binding(5) var<storage, read> v: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dw: array<vec4f>;

alias Rows = array<vec4f, ROWS>;

fn madd(c: ptr<function, Rows>, a: ptr<function, Rows>, b: mat4x4f) {
  for (var r = 0u; r < ROWS; r++) {
    c[r] += b * a[r];
  }
}

// Quad q of columns as a matrix of 4 positions by 4 n, from the lane that holds it for each of 4 positions.
fn quad(b: mat4x4f, q: u32) -> mat4x4f {
  return mat4x4f(
    subgroupShuffle(b[0], q),
    subgroupShuffle(b[1], q),
    subgroupShuffle(b[2], q),
    subgroupShuffle(b[3], q),
  );
}

// Quad `at` of the vectors of four calls as columns: those of v times dsigma, or those of u.
fn call_quads(ofV: bool, at: u32, pitch: u32, calls: u32) -> mat4x4f {
  var m: mat4x4f;
  for (var c = 0u; c < calls; c++) {
    if (ofV) {
      m[c] = dsigma[c] * v[c * pitch + at];
    } else {
      m[c] = u[c * pitch + at];
    }
  }
  return m;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = geometry;
  let n0 = tile.y * QUADS;
  let mQuads = g.tapsY * g.tapsX * g.inQuads;
  let parts = g.classes * g.classes;
  let cy = tile.z % parts / g.classes;
  let cx = tile.z % g.classes;
  let m0 = tile.x * (ROWS / 4) * SUBGROUP + lane;
  // Texel of each of the lane's quads of m at position (0, 0).
  var at: array<vec2u, ROWS / 4>;
  for (var r = 0u; r < ROWS / 4; r++) {
    let m = min(m0 + r * SUBGROUP, mQuads - 1);
    let t = m / g.inQuads;
    let ty = t / g.tapsX + cy * g.classStep;
    let tx = t % g.tapsX + cx * g.classStep;
    at[r] = vec2u(tx * g.inQuads + m - t * g.inQuads, ty);
  }
  let column = n0 + lane % QUADS;
  let aStep = g.inStride * g.inQuads;
  let bStep = g.outStride * g.outQuads;
  let lines = g.images * g.gridH;
  let quadsX = (g.gridW + 3) / 4;
  let start = tile.z / parts * g.splitRows;
  let count = min(g.splitRows, lines - start) * quadsX;
  let more = u32(g.calls > 0 && start == 0);
  var line = start;
  var image = line / g.gridH;
  var row = line - image * g.gridH;
  var px = 0u;
  var c0: Rows;
  var c1: Rows;
  var c2: Rows;
  var c3: Rows;
  var c4: Rows;
  var c5: Rows;
  var c6: Rows;
  var c7: Rows;
  for (var i = 0u; i < count + more; i++) {
    let outer = i == count;
    var a: Rows;
    for (var r = 0u; r < ROWS; r += 4) {
      let near = vec2u(at[r / 4].x + px * 4 * aStep, at[r / 4].y + row * g.inStride);
      var m: mat4x4f;
      if (outer) {
        m = call_quads(true, min(m0 + r / 4 * SUBGROUP, mQuads - 1), mQuads, g.calls);
      } else {
        m = mat4x4f(
          textureLoad(x, near, image),
          textureLoad(x, vec2u(near.x + aStep, near.y), image),
          textureLoad(x, vec2u(near.x + 2 * aStep, near.y), image),
          textureLoad(x, vec2u(near.x + 3 * aStep, near.y), image),
        );
      }
      m = transpose(m);
      a[r] = m[0];
      a[r + 1] = m[1];
      a[r + 2] = m[2];
      a[r + 3] = m[3];
    }
    let oy = row * g.outStride + cy + g.offsetY;
    let ox = px * 4 * bStep + (cx + g.offsetX) * g.outQuads + column;
    var b: mat4x4f;
    if (outer) {
      b = call_quads(false, min(column, g.outQuads - 1), g.outQuads, g.calls);
    } else {
      b = mat4x4f(
        textureLoad(dy, vec2u(ox, oy), image),
        textureLoad(dy, vec2u(ox + bStep, oy), image),
        textureLoad(dy, vec2u(ox + 2 * bStep, oy), image),
        textureLoad(dy, vec2u(ox + 3 * bStep, oy), image),
      );
    }
    madd(&c0, &a, quad(b, 0));
    madd(&c1, &a, quad(b, 1));
    madd(&c2, &a, quad(b, 2));
    madd(&c3, &a, quad(b, 3));
    if (QUADS > 4) {
      madd(&c4, &a, quad(b, 4));
      madd(&c5, &a, quad(b, 5));
    }
    if (QUADS > 6) {
      madd(&c6, &a, quad(b, 6));
      madd(&c7, &a, quad(b, 7));
    }
    px++;
    let wrapX = px == quadsX;
    px = select(px, 0, wrapX);
    row += u32(wrapX);
    let wrapY = row == g.gridH;
    row = select(row, 0, wrapY);
    image += u32(wrapY);
  }
  // Loops that are not unrolled: each store in the code costs lavapipe's compiler some 300 instructions.
  let mine = min(ROWS / 4, (mQuads - min(m0, mQuads) + SUBGROUP - 1) / SUBGROUP);
  for (var j = 0u; j < min(QUADS, g.outQuads - n0); j++) {
    var v: Rows;
    switch j {
      case 0: { v = c0; }
      case 1: { v = c1; }
      case 2: { v = c2; }
      case 3: { v = c3; }
      case 4: { v = c4; }
      case 5: { v = c5; }
      case 6: { v = c6; }
      default: { v = c7; }
    }
    let n = (tile.z * g.outQuads + n0 + j) * 4;
    for (var r = 0u; r < ROWS / 4; r++) {
      if (r < mine) {
        let by_n = transpose(mat4x4f(v[r * 4], v[r * 4 + 1], v[r * 4 + 2], v[r * 4 + 3]));
        for (var i = 0u; i < 4; i++) {
          let to = (n + i) * mQuads + m0 + r * SUBGROUP;
          var sum = by_n[i];
          if (ADD) {
            sum += dw[to];
          }
          dw[to] = sum;
        }
      }
    }
  }
}
