// Attention folded into the 1x1 convolution behind it: sum_c W[o,c] wGap[c] x[c] + W[o,C+c] wGmp[c] x[c]
// equals a convolution of x with y[o,c] = W[o,c] wGap[c] + W[o,C+c] wGmp[c]. W [O,2C], y [O,C].
// C counts V: four channels each, or one (LANES).
// A lane owns J columns, WG apart, of PER rows: workgroup (t, r) has tile t of columns and rows r PER
// .. +PER.
// needs: LANES=vector
const O: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const J: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> w: array<V>;
@group(0) @binding(1) var<storage, read> gap: array<V>;
@group(0) @binding(2) var<storage, read> gmp: array<V>;
@group(0) @binding(3) var<storage, read_write> y: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * WG * J + lane;
  if (first >= C) {
    return;
  }
  var a: array<V, J>;
  var b: array<V, J>;
  for (var j = 0u; j < J; j++) {
    a[j] = gap[min(first + j * WG, C - 1)];
    b[j] = gmp[min(first + j * WG, C - 1)];
  }
  let end = min(group.y * PER + PER, O);
  for (var o = group.y * PER; o < end; o++) {
    for (var j = 0u; j < J; j++) {
      let c = first + j * WG;
      if (c < C) {
        y[o * C + c] = w[o * 2 * C + c] * a[j] + w[o * 2 * C + C + c] * b[j];
      }
    }
  }
}
