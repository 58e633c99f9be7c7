// Adds partial gradients of the two attention weights up, in order: part [SLICES,2,C] -> gap [C], gmp [C].
// One invocation per element of part's last two dimensions.
const C: u32 = 1;
const SLICES: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> part: array<f32>;
@group(0) @binding(1) var<storage, read_write> gap: array<f32>;
@group(0) @binding(2) var<storage, read_write> gmp: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= 2 * C) {
    return;
  }
  var sum = 0.0;
  for (var s = 0u; s < SLICES; s++) {
    sum += part[s * 2 * C + i];
  }
  if (i < C) {
    gap[i] = sum;
  } else {
    gmp[i - C] = sum;
  }
}
