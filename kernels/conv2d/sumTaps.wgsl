// Weights of a 3x3 convolution of a doubled picture as those of four 2x2 convolutions of the picture itself:
//   y[co, i, j, ci] = sum of w[co, kh, kw, ci] over kh in range i and kw in range j
// w [CO,3,3,CI], y [CO,4,4,CI], ranges 0..0, 0..1, 1..2, 2..2 (DOUBLING in engine/ops/conv2d/products.ts).
// One invocation owns one element. Grid: grid1d.
// needs: flat
const CI: u32 = 1;
const CO: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let at = flat_index(group, groups, local, WG);
  if (at >= CO * 16 * CI) {
    return;
  }
  let ci = at % CI;
  let i = at / CI / 4 % 4;
  let j = at / CI % 4;
  let co = at / CI / 16;
  var sum = 0.0;
  for (var kh = max(i, 1) - 1; kh < min(i + 1, 3); kh++) {
    for (var kw = max(j, 1) - 1; kw < min(j + 1, 3); kw++) {
      sum += w[((co * 3 + kh) * 3 + kw) * CI + ci];
    }
  }
  y[at] = sum;
}
