// The end of a convolution by columns.wgsl, or by tiledRows.wgsl in splits, whose parts of the sums it adds:
//   y[p,c] = f(bias[c] + sum over s of part[s,p,c] / sigma)
// in the order of s; sigma [CALLS], each for a run of positions (0: no division). part [SLICES,PC], y [PC],
// PC = positions * C. ACT as in lib/activate.wgsl. One invocation per element.
// needs: activate flat nan
const PC: u32 = 1;
const C: u32 = 1;
const SLICES: u32 = 1;
const CALLS: u32 = 0;
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> part: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> sigma: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= PC) {
    return;
  }
  var sum = 0.0;
  for (var s = 0u; s < SLICES; s++) {
    sum += part[s * PC + i];
  }
  if (CALLS > 0) {
    sum /= sigma[i * CALLS / PC];
  }
  if (BIAS) {
    sum += bias[i % C];
  }
  y[i] = activate(vec4f(sum), ACT, SLOPE).x;
}
