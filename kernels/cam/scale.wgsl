// Attention as two weighted copies: y[r,c] = x[r,c] wGap[c], y[r,C+c] = x[r,c] wGmp[c].
// backwardInput: dx[r,c] = dy[r,c] wGap[c] + dy[r,C+c] wGmp[c]. x and dx [R,C], y and dy [R,2C].
// C counts V: four channels each, or one (LANES). One invocation per V of x or dx.
// needs: flat LANES=vector
const R: u32 = 1;
const C: u32 = 1;
const WG: u32 = 64;

// forward: x, wGap, wGmp, y. backwardInput: dy, wGap, wGmp, dx.
@group(0) @binding(0) var<storage, read> a: array<V>;
@group(0) @binding(1) var<storage, read> b: array<V>;
@group(0) @binding(2) var<storage, read> c: array<V>;
@group(0) @binding(3) var<storage, read_write> y: array<V>;

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
