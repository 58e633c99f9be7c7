// Spectral norm in small steps as written first; any size, one invocation per element of the result.
// a [O,M]. columns: y[m] = sum_o a[o,m] b[o]. rows: y[o] = sum_m a[o,m] b[m].
// rowDots: y[o] = sum_m a[o,m] b[o,m].
// norm: y[0] = max(|a|, EPS). product: y[0] = a . b. sum: y[0] = sum of a (all over M elements).
// divide: y = a / b[0]. outer: y[o,m] = a[0] b[o] c[m]. subtract: y = (a - b) / c[0] (over M elements).
// needs: flat nan
const O: u32 = 1;
const M: u32 = 1;
const EPS: f32 = 1e-12;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn columns(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= M) {
    return;
  }
  var sum = 0.0;
  for (var o = 0u; o < O; o++) {
    sum += a[o * M + id.x] * b[o];
  }
  y[id.x] = sum;
}

@compute @workgroup_size(WG)
fn rows(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= O) {
    return;
  }
  var sum = 0.0;
  for (var m = 0u; m < M; m++) {
    sum += a[id.x * M + m] * b[m];
  }
  y[id.x] = sum;
}

@compute @workgroup_size(WG)
fn rowDots(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= O) {
    return;
  }
  var sum = 0.0;
  for (var m = 0u; m < M; m++) {
    sum += a[id.x * M + m] * b[id.x * M + m];
  }
  y[id.x] = sum;
}

@compute @workgroup_size(1)
fn norm() {
  var sum = 0.0;
  for (var m = 0u; m < M; m++) {
    sum += a[m] * a[m];
  }
  y[0] = at_least(sqrt(sum), EPS);
}

@compute @workgroup_size(1)
fn product() {
  var sum = 0.0;
  for (var m = 0u; m < M; m++) {
    sum += a[m] * b[m];
  }
  y[0] = sum;
}

@compute @workgroup_size(1)
fn sum() {
  var total = 0.0;
  for (var m = 0u; m < M; m++) {
    total += a[m];
  }
  y[0] = total;
}

@compute @workgroup_size(WG)
fn divide(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < M) {
    y[i] = a[i] / b[0];
  }
}

@compute @workgroup_size(WG)
fn outer(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < O * M) {
    y[i] = a[0] * b[i / M] * c[i % M];
  }
}

@compute @workgroup_size(WG)
fn subtract(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < M) {
    y[i] = (a[i] - b[i]) / c[0];
  }
}
