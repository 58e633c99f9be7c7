// Column sums: y[g, c] (+)= sum of x[r, c] over the rows r of group g, x [ROWS, C V], y [GROUPS, C V].
// Group g owns the rows from g PER TEAM on. TEAM invocations of a workgroup share one V (one or four columns)
// of y, PER rows each; sums run in a fixed order, so the result does not depend on scheduling. Launched twice
// or more where rows are many: many groups, then one (bias gradients).
// ADD: adds to what y holds.
// needs: flat team rowsOfPart LANES=scalar
const ROWS: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const GROUPS: u32 = 1;
const TEAM: u32 = 1;
const WG: u32 = 64;
const ADD: bool = false;

// As lib/rowsOfPart.wgsl has them.
const N: u32 = 1;
const G: u32 = C;
const PARTS: u32 = GROUPS;

alias Share = V;

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> y: array<V>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let own = rows_of_part(group, groups, local);
  var sum = V(0);
  for (var r = own.first; r < own.first + own.rows; r++) {
    sum += x[r * C + own.g];
  }
  sum = team_sum(local, sum);
  if (own.rows == 0 || local >= APART) {
    return;
  }
  let i = own.p * C + own.g;
  if (ADD) {
    sum += y[i];
  }
  y[i] = sum;
}
