// Heat map: y[p] = sum_c x[p,c], x [P,C], y [P]. backward: dx[p,c] = dy[p]. Any C.
// One invocation per element of y or dx.
// needs: flat
const P: u32 = 1;
const C: u32 = 1;
const WG: u32 = 64;

// forward: x, y. backward: dy, dx.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= P) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < C; c++) {
    sum += x[i * C + c];
  }
  y[i] = sum;
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < P * C) {
    y[i] = x[i / C];
  }
}
