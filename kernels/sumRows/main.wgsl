// Column sums: y[g, c] (+)= sum of x[r, c] over the rows r of group g, x [ROWS, C], y [GROUPS, C].
// Group g owns rows g*PER .. g*PER + PER - 1. One invocation per element of y, sums in row order, so the
// result does not depend on scheduling. Launched twice: many groups, then one (bias gradients).
// ADD: adds to what y holds.
// needs: flat
const ROWS: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const GROUPS: u32 = 1;
const WG: u32 = 64;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= GROUPS * C) {
    return;
  }
  let c = i % C;
  let first = i / C * PER;
  let end = min(first + PER, ROWS);
  var sum = 0.0;
  for (var r = first; r < end; r++) {
    sum += x[r * C + c];
  }
  if (ADD) {
    sum += y[i];
  }
  y[i] = sum;
}
