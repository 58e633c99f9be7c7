// Forward: y = f(x). Backward: dx = dy * f'(x), with f' written in terms of y.
// KIND 0 ReLU: max(x, 0); f'(0) = 0. KIND 1 LeakyReLU: x > 0 ? x : SLOPE x; f'(0) = SLOPE (> 0, so y has
// x's sign). KIND 2 tanh: f' = 1 - y². Derivatives at 0 as torch.nn.functional has them; ReLU
// lets the gradient of NaN pass.
// Each invocation owns one vec4 of y or dx. N4: vec4s (buffers are padded to 16 bytes).
// needs: flat nan
const N4: u32 = 1;
const KIND: u32 = 0;
const SLOPE: f32 = 0.2;
const WG: u32 = 64;

// Forward binds x, x again and y; backward binds dy, y and dx.
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> saved: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N4) {
    return;
  }
  let v = x[i];
  if (KIND == 0) {
    y[i] = relu(v);
  } else if (KIND == 1) {
    y[i] = select(SLOPE * v, v, v > vec4f(0));
  } else {
    y[i] = safe_tanh(v);
  }
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N4) {
    return;
  }
  let g = x[i];
  let v = saved[i];
  if (KIND == 0) {
    y[i] = select(g, vec4f(0), v <= vec4f(0));
  } else if (KIND == 1) {
    y[i] = select(SLOPE * g, g, v > vec4f(0));
  } else {
    y[i] = g * (vec4f(1) - v * v);
  }
}
