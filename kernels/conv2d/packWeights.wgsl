// Weights [CO,K,K,CI] as the right operand of gatherRows: vec4f = quad of the columns, filled up with zeros;
// row r stands for w's elements from (r % rowsA) * stepA + r / rowsA * stepB on. A layer is the sum of a
// rectangle of kernel elements: one, or those that meet on one pixel of an upsampled picture.
// y [layers, height, outStep], which the queue copies into a texture. One invocation owns one vec4f.
// Grid: ceil(quads / 8), ceil(height / 8), layers.
struct Packing {
  columns: u32,
  rows: u32,
  rowsA: u32,
  stepA: u32,
  stepB: u32,
  rowStep: u32,     // elements of w from one kernel row to the next
  columnStep: u32,  // elements of w from one kernel column to the next
  whole: u32,       // 1: columns and steps are multiples of 4
  outStep: u32,     // vec4f of y from one row to the next
  height: u32,
  // Per layer: first kernel row, row behind the last, first column, column behind the last.
  layers: array<vec4u>,
}

@group(0) @binding(0) var<storage, read> packing: Packing;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
  let columns = packing.columns;
  let rowsA = packing.rowsA;
  let first = at.x * 4;
  if (first >= columns || at.y >= packing.height) {
    return;
  }
  let b = at.y / rowsA;
  let start = (at.y - b * rowsA) * packing.stepA + b * packing.stepB + first;
  let whole = packing.whole == 1;
  var layer = packing.layers[at.z];
  // Rows behind the last are zeros, since gatherRows reads four rows at a time where rows are k.
  if (at.y >= packing.rows) {
    layer = vec4u(0);
  }
  var sum = vec4f(0);
  for (var kh = layer.x; kh < layer.y; kh++) {
    for (var kw = layer.z; kw < layer.w; kw++) {
      let i = kh * packing.rowStep + kw * packing.columnStep;
      if (whole) {
        sum += w[(i + start) / 4];
      } else {
        for (var j = 0u; j < min(4, columns - first); j++) {
          sum[j] += w[(i + start + j) / 4][(i + start + j) % 4];
        }
      }
    }
  }
  y[(at.z * packing.height + at.y) * packing.outStep + at.x] = sum;
}
