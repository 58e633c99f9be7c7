// Gradients of y[o,c] = W[o,c] gap[c] + W[o,C+c] gmp[c]: dW[o,c] = dy[o,c] gap[c], dW[o,C+c] = dy[o,c]
// gmp[c]; part[s,0,c] = sum of dy[o,c] W[o,c] and part[s,1,c] = sum of dy[o,c] W[o,C+c] over the rows s PER
// .. +PER. Any C. dy [O,C], W and dW [O,2C], part [SLICES,2,C]. An invocation owns column c of one slice of
// rows.
// needs: flat
const O: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const SLICES: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> gap: array<f32>;
@group(0) @binding(3) var<storage, read> gmp: array<f32>;
@group(0) @binding(4) var<storage, read_write> dw: array<f32>;
@group(0) @binding(5) var<storage, read_write> part: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= SLICES * C) {
    return;
  }
  let c = i % C;
  let first = i / C * PER;
  let end = min(first + PER, O);
  let a = gap[c];
  let b = gmp[c];
  var da = 0.0;
  var db = 0.0;
  let step = C;
  var left = first * 2 * step + c;
  for (var o = first; o < end; o++) {
    let g = dy[o * step + c];
    da += g * w[left];
    db += g * w[left + step];
    dw[left] = g * a;
    dw[left + step] = g * b;
    left += 2 * step;
  }
  part[i / C * 2 * C + c] = da;
  part[i / C * 2 * C + C + c] = db;
}
