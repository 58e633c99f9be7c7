// Implicit matrix product whose left rows are gathered from a padded feature map:
//   y[p, n] = f(bias[n] + sum_{t, k} x[source(p) + t, k] * w[layer(class, t), n, k] / sigma)
// p runs over the positions of a class of output pixels, t over its taps, k over input and n over output
// channels. One subgroup owns ROWS * SUBGROUP positions by 4 * QUADS channels of one class. A lane owns ROWS
// positions and loads its own four k; w is spread over the lanes and handed round by shuffles with constant
// lanes, so that one load of it serves SUBGROUP * ROWS positions.
// x: texel column * inQuads + quad of k, row, layer image. y: buffer [images, outH, outW, 4 outQuads].
// sigma: one number a call where the geometry has calls (a weight under spectral norm is w / sigma), else not
// read.
// w: layers of rows n with texels of k, or (TRANSPOSED) of rows k with texels of n.
// Grid: ceil(positions / (ROWS * SUBGROUP)), ceil(outQuads / QUADS), classes².
// ROWS: 4 or 8. QUADS: 4, 6 or 8. SUBGROUP: 8.
// static: QUADS TRANSPOSED
// needs: geometry activate nan
enable subgroups;

const ROWS: u32 = 8;
const QUADS: u32 = 8;
const TRANSPOSED: bool = false;
const SUBGROUP: u32 = 8;

@group(0) @binding(0) var<storage, read> geometry: Geometry;
@group(0) @binding(1) var x: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> sigma: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

alias Rows = array<vec4f, ROWS>;

fn madd(c: ptr<function, Rows>, a: ptr<function, Rows>, b: mat4x4f) {
  for (var r = 0u; r < ROWS; r++) {
    c[r] += b * a[r];
  }
}

// Quad q of columns as a matrix of 4 k by 4 n, from the lanes that hold a texel of k for each row n, or (b
// TRANSPOSED) a texel of n for each of 4 k.
fn quad(b: mat4x4f, v: vec4f, q: u32) -> mat4x4f {
  let lanes = select(vec4u(0, 1, 2, 3) + q % 2 * 4, vec4u(q), TRANSPOSED);
  let m = mat4x4f(
    subgroupShuffle(select(v, b[0], TRANSPOSED), lanes.x),
    subgroupShuffle(select(v, b[1], TRANSPOSED), lanes.y),
    subgroupShuffle(select(v, b[2], TRANSPOSED), lanes.z),
    subgroupShuffle(select(v, b[3], TRANSPOSED), lanes.w),
  );
  let t = transpose(m);
  return mat4x4f(
    select(t[0], m[0], TRANSPOSED),
    select(t[1], m[1], TRANSPOSED),
    select(t[2], m[2], TRANSPOSED),
    select(t[3], m[3], TRANSPOSED),
  );
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = geometry;
  let first = tile.x * ROWS * SUBGROUP + lane;
  let n0 = tile.y * QUADS;
  let cy = tile.z / g.classes;
  let cx = tile.z % g.classes;
  let positions = g.images * g.gridH * g.gridW;
  var at: array<vec3u, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let p = min(first + r * SUBGROUP, positions - 1);
    let line = p / g.gridW;
    at[r] = vec3u(
      ((p - line * g.gridW) * g.inStride + cx * g.classStep + g.offsetX) * g.inQuads,
      line % g.gridH * g.inStride + cy * g.classStep + g.offsetY,
      line / g.gridH,
    );
  }
  let skipY = u32(cy >= g.whole);
  let skipX = u32(cx >= g.whole);
  let across = g.tapsX - skipX;
  let steps = (g.tapsY - skipY) * across * g.inQuads;
  // 0 where all taps of the axis are columns of one product.
  let startY = select(g.layerStart + i32(cy) * g.layerClass, 0, g.tapsY * g.classes == 1);
  let startX = select(g.layerStart + i32(cx) * g.layerClass, 0, g.tapsX * g.classes == 1);
  let side = i32(g.side);
  var c0: Rows;
  var c1: Rows;
  var c2: Rows;
  var c3: Rows;
  var c4: Rows;
  var c5: Rows;
  var c6: Rows;
  var c7: Rows;
  // One step is four k of one tap; the quads of neighbouring taps follow each other.
  let firstX = skipX * g.inQuads;
  let endX = g.tapsX * g.inQuads;
  var k = 0u;
  var near = vec2u(firstX, skipY);
  var layer = (startY + i32(skipY) * g.layerTap) * side + startX + i32(skipX) * g.layerTap;
  let nextRow = (side - i32(across)) * g.layerTap;
  for (var i = 0u; i < steps; i++) {
    var a: Rows;
    for (var r = 0u; r < ROWS; r++) {
      a[r] = textureLoad(x, at[r].xy + near, at[r].z);
    }
    let texel = select(vec2u(k, n0 * 4 + lane), vec2u(n0 + lane % QUADS, k * 4), TRANSPOSED);
    let next = vec2u(0, select(8u, 1u, TRANSPOSED));
    let b = mat4x4f(
      textureLoad(w, texel, u32(layer)),
      textureLoad(w, texel + next, u32(layer)),
      textureLoad(w, texel + 2 * next, u32(layer)),
      textureLoad(w, texel + 3 * next, u32(layer)),
    );
    madd(&c0, &a, quad(b, b[0], 0));
    madd(&c1, &a, quad(b, b[0], 1));
    madd(&c2, &a, quad(b, b[1], 2));
    madd(&c3, &a, quad(b, b[1], 3));
    if (QUADS > 4) {
      madd(&c4, &a, quad(b, b[2], 4));
      madd(&c5, &a, quad(b, b[2], 5));
    }
    if (QUADS > 6) {
      madd(&c6, &a, quad(b, b[3], 6));
      madd(&c7, &a, quad(b, b[3], 7));
    }
    k++;
    let wrapK = k == g.inQuads;
    k = select(k, 0, wrapK);
    layer += select(0, g.layerTap, wrapK);
    near.x++;
    let wrapX = near.x == endX;
    near = select(near, vec2u(firstX, near.y + 1), wrapX);
    layer += select(0, nextRow, wrapX);
  }
  // Loops that are not unrolled: each store in the code costs lavapipe's compiler some 300 instructions.
  let mine = min(ROWS, (positions - min(first, positions) + SUBGROUP - 1) / SUBGROUP);
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
    for (var r = 0u; r < mine; r++) {
      let p = first + r * SUBGROUP;
      let line = p / g.gridW;
      let oy = line % g.gridH * g.outStride + cy;
      let ox = (p - line * g.gridW) * g.outStride + cx;
      if (oy < g.outH && ox < g.outW) {
        var sum = v[r];
        if (g.calls > 0) {
          sum /= sigma[line / g.gridH * g.calls / g.images];
        }
        if (g.bias == 1) {
          sum += bias[n0 + j];
        }
        let row = (line / g.gridH * g.outH + oy) * g.outW + ox;
        y[row * g.outQuads + n0 + j] = activate(sum, g.activation, g.slope);
      }
    }
  }
}
