// torch.nn.Linear as written first: y[n,FIRST+o] = f(b[FIRST+o] + sum_k x[n,k] w[o,k]), its dx and dw.
// x [N,K], w [O,K] (one block of rows of a weight with COLUMNS rows in all), y and dy [N,COLUMNS].
// One invocation per element of the result; any K. ACT: 0 none, 1 ReLU. MORE: dx adds to an earlier block's.
// needs: flat nan
const N: u32 = 1;
const K: u32 = 1;
const O: u32 = 1;
const COLUMNS: u32 = 1;
const FIRST: u32 = 0;
const BIAS: bool = false;
const ACT: u32 = 0;
const MORE: bool = false;
const WG: u32 = 64;

// forward: x, w, b, y. backwardInput: dy, w, (w), dx. backwardWeight: dy, x, (x), dw.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * O) {
    return;
  }
  let o = i % O;
  let n = i / O;
  var sum = 0.0;
  for (var k = 0u; k < K; k++) {
    sum += a[n * K + k] * b[o * K + k];
  }
  if (BIAS) {
    sum += bias[FIRST + o];
  }
  if (ACT == 1) {
    sum = relu(vec4f(sum)).x;
  }
  y[n * COLUMNS + FIRST + o] = sum;
}

@compute @workgroup_size(WG)
fn backwardInput(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * K) {
    return;
  }
  var sum = 0.0;
  if (MORE) {
    sum = y[i];
  }
  for (var o = 0u; o < O; o++) {
    sum += a[i / K * COLUMNS + FIRST + o] * b[o * K + i % K];
  }
  y[i] = sum;
}

@compute @workgroup_size(WG)
fn backwardWeight(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= O * K) {
    return;
  }
  var sum = 0.0;
  for (var n = 0u; n < N; n++) {
    sum += a[n * COLUMNS + FIRST + i / K] * b[n * K + i % K];
  }
  y[i] = sum;
}
