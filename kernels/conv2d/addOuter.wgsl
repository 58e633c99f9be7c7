// dw[o,m] += sum over calls k of dsigma[k] u[k,o] v[k,m]: the gradient of a weight through its spectral norm
// sigma[k] = u[k]ᵀ w v[k], with u and v constant. dw [O,M], u [CALLS,O], v [CALLS,M]. An invocation owns one
// element.
// needs: flat
const O: u32 = 1;
const M: u32 = 1;
const CALLS: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dsigma: array<f32>;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= O * M) {
    return;
  }
  var sum = dw[i];
  for (var k = 0u; k < CALLS; k++) {
    sum = fma(dsigma[k] * u[k * O + i / M], v[k * M + i % M], sum);
  }
  dw[i] = sum;
}
