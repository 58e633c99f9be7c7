// Attention as two weighted copies: y[r,c] = x[r,c] wGap[c], y[r,C+c] = x[r,c] wGmp[c]. Any C.
// x [R,C], y [R,2C].
// backwardInput: dx[r,c] = dy[r,c] wGap[c] + dy[r,C+c] wGmp[c].
// backwardWeight: part[s,h,c] = sum of dy[r, hC + c] x[r,c] over the rows s PER .. +PER; part [SLICES,2,C].
// One invocation per element of x, dx or part.
// needs: flat
const R: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const SLICES: u32 = 1;
const WG: u32 = 64;

// forward: x, wGap, wGmp, y. backwardInput: dy, wGap, wGmp, dx. backwardWeight: dy, x, (x), part.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= R * C) {
    return;
  }
  let to = i / C * 2 * C + i % C;
  y[to] = a[i] * b[i % C];
  y[to + C] = a[i] * c[i % C];
}

@compute @workgroup_size(WG)
fn backwardInput(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= R * C) {
    return;
  }
  let start = i / C * 2 * C + i % C;
  y[i] = a[start] * b[i % C] + a[start + C] * c[i % C];
}

@compute @workgroup_size(WG)
fn backwardWeight(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= SLICES * 2 * C) {
    return;
  }
  let first = i / (2 * C) * PER;
  let end = min(first + PER, R);
  var sum = 0.0;
  for (var r = first; r < end; r++) {
    sum += a[r * 2 * C + i % (2 * C)] * b[r * C + i % C];
  }
  y[i] = sum;
}
