// Implicit matrix product whose left rows are gathered from a padded feature map:
//   y[p, n] = f(bias[n] + sum_{t, k} x[source(p) + t, k] * w[class, t, k, n])
// p runs over the positions of a class of output pixels, t over taps, k over input and n over output
// channels. One subgroup owns ROWS * SUBGROUP positions by 32 channels of one class. A lane owns ROWS
// positions and loads its own four k; w is spread over the lanes and handed round by shuffles with constant
// lanes, so that one load of it serves SUBGROUP * ROWS positions.
// x: padded picture, see Geometry. w: texel n of row k of layer class * taps + t. y: buffer
// [images,outH,outW,n]. Grid: ceil(positions / (ROWS * SUBGROUP)), ceil(outQuads / 8), classes². ROWS: 4 or
// 8. SUBGROUP: 8 or more.
// needs: geometry activate
enable subgroups;

const ROWS: u32 = 8;
const SUBGROUP: u32 = 8;

@group(0) @binding(0) var<storage, read> geometry: Geometry;
@group(0) @binding(1) var x: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

alias Rows = array<vec4f, ROWS>;

fn madd(c: ptr<function, Rows>, a: ptr<function, Rows>, b: mat4x4f) {
  for (var r = 0u; r < ROWS; r++) {
    c[r] += b * a[r];
  }
}

// Quad q of columns as a matrix of 4 k by 4 n, from the lane that holds it for each of 4 k.
fn quad(b: mat4x4f, q: u32) -> mat4x4f {
  return mat4x4f(
    subgroupShuffle(b[0], q),
    subgroupShuffle(b[1], q),
    subgroupShuffle(b[2], q),
    subgroupShuffle(b[3], q),
  );
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = geometry;
  let first = tile.x * ROWS * SUBGROUP + lane;
  let n0 = tile.y * 8;
  let cy = tile.z / g.classes;
  let cx = tile.z % g.classes;
  let positions = g.images * g.gridH * g.gridW;
  var at: array<vec3u, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let p = min(first + r * SUBGROUP, positions - 1);
    let line = p / g.gridW;
    at[r] = vec3u(
      ((p - line * g.gridW) * g.inStride + cx * g.classStep) * g.xStep,
      line % g.gridH * g.inStride + cy * g.classStep,
      line / g.gridH,
    );
  }
  let taps = g.tapsY * g.tapsX;
  let layer = tile.z * taps;
  let column = n0 + lane % 8;
  var c0: Rows;
  var c1: Rows;
  var c2: Rows;
  var c3: Rows;
  var c4: Rows;
  var c5: Rows;
  var c6: Rows;
  var c7: Rows;
  var k = 0u;
  var ty = 0u;
  var tx = 0u;
  for (var i = 0u; i < taps * g.inQuads; i++) {
    let dx = tx * g.xStep + k * g.quadStep;
    var a: Rows;
    for (var r = 0u; r < ROWS; r++) {
      a[r] = textureLoad(x, vec2u(at[r].x + dx, at[r].y + ty), at[r].z);
    }
    let t = layer + ty * g.tapsX + tx;
    let b = mat4x4f(
      textureLoad(w, vec2u(column, k * 4), t),
      textureLoad(w, vec2u(column, k * 4 + 1), t),
      textureLoad(w, vec2u(column, k * 4 + 2), t),
      textureLoad(w, vec2u(column, k * 4 + 3), t),
    );
    madd(&c0, &a, quad(b, 0));
    madd(&c1, &a, quad(b, 1));
    madd(&c2, &a, quad(b, 2));
    madd(&c3, &a, quad(b, 3));
    madd(&c4, &a, quad(b, 4));
    madd(&c5, &a, quad(b, 5));
    madd(&c6, &a, quad(b, 6));
    madd(&c7, &a, quad(b, 7));
    tx++;
    let wrapX = tx == g.tapsX;
    tx = select(tx, 0, wrapX);
    ty += u32(wrapX);
    let wrapY = ty == g.tapsY;
    ty = select(ty, 0, wrapY);
    k += u32(wrapY);
  }
  // Loops that are not unrolled: each store in the code costs lavapipe's compiler some 300 instructions.
  let mine = min(ROWS, (positions - min(first, positions) + SUBGROUP - 1) / SUBGROUP);
  for (var j = 0u; j < min(8, g.outQuads - n0); j++) {
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
        if (g.bias == 1) {
          sum += bias[n0 + j];
        }
        let row = (line / g.gridH * g.outH + oy) * g.outW + ox;
        y[row * g.outQuads + n0 + j] = activate(sum, g.activation, g.slope);
      }
    }
  }
}
