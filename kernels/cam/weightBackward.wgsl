// Gradients of y[o,c] = W[o,c] gap[c] + W[o,C+c] gmp[c]: dW[o,c] = dy[o,c] gap[c], dW[o,C+c] = dy[o,c]
// gmp[c]; dGap[s,c] = sum of dy[o,c] W[o,c] and dGmp[s,c] = sum of dy[o,c] W[o,C+c] over the rows s PER
// .. +PER. dy [O,C], W and dW [O,2C], gap and gmp [C], dGap and dGmp [slices,C]. C counts V: four channels
// each, or one (LANES).
// A lane owns J columns, WG apart, of one slice: workgroup (t, s) has tile t of columns and slice s of rows.
// ADD_DW, ADD_DGAP, ADD_DGMP: adds to what that one holds.
// needs: LANES=vector
const O: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const J: u32 = 1;
const WG: u32 = 64;
const ADD_DW: bool = false;
const ADD_DGAP: bool = false;
const ADD_DGMP: bool = false;

@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> w: array<V>;
@group(0) @binding(2) var<storage, read> gap: array<V>;
@group(0) @binding(3) var<storage, read> gmp: array<V>;
@group(0) @binding(4) var<storage, read_write> dw: array<V>;
@group(0) @binding(5) var<storage, read_write> dGap: array<V>;
@group(0) @binding(6) var<storage, read_write> dGmp: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * WG * J + lane;
  if (first >= C) {
    return;
  }
  var a: array<V, J>;
  var b: array<V, J>;
  var da: array<V, J>;
  var db: array<V, J>;
  for (var j = 0u; j < J; j++) {
    a[j] = gap[min(first + j * WG, C - 1)];
    b[j] = gmp[min(first + j * WG, C - 1)];
  }
  let end = min(group.y * PER + PER, O);
  for (var o = group.y * PER; o < end; o++) {
    for (var j = 0u; j < J; j++) {
      let c = first + j * WG;
      if (c < C) {
        let left = o * 2 * C + c;
        let g = dy[o * C + c];
        da[j] += g * w[left];
        db[j] += g * w[left + C];
        if (ADD_DW) {
          dw[left] += g * a[j];
          dw[left + C] += g * b[j];
        } else {
          dw[left] = g * a[j];
          dw[left + C] = g * b[j];
        }
      }
    }
  }
  for (var j = 0u; j < J; j++) {
    let c = first + j * WG;
    if (c < C) {
      let to = group.y * C + c;
      if (ADD_DGAP) {
        da[j] += dGap[to];
      }
      if (ADD_DGMP) {
        db[j] += dGmp[to];
      }
      dGap[to] = da[j];
      dGmp[to] = db[j];
    }
  }
}
