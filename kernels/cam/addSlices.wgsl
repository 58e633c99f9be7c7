// Adds partial gradients of the two attention weights up, in order: partGap, partGmp [SLICES,C] -> gap,
// gmp [C]. One invocation per channel. ADD_GAP, ADD_GMP: adds to what that one holds.
const C: u32 = 1;
const SLICES: u32 = 1;
const WG: u32 = 64;
const ADD_GAP: bool = false;
const ADD_GMP: bool = false;

@group(0) @binding(0) var<storage, read> partGap: array<f32>;
@group(0) @binding(1) var<storage, read> partGmp: array<f32>;
@group(0) @binding(2) var<storage, read_write> gap: array<f32>;
@group(0) @binding(3) var<storage, read_write> gmp: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  if (c >= C) {
    return;
  }
  var a = 0.0;
  var b = 0.0;
  for (var s = 0u; s < SLICES; s++) {
    a += partGap[s * C + c];
    b += partGmp[s * C + c];
  }
  if (ADD_GAP) {
    a += gap[c];
  }
  if (ADD_GMP) {
    b += gmp[c];
  }
  gap[c] = a;
  gmp[c] = b;
}
