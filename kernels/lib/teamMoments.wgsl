// What lib/team.wgsl does for sums, for the statistics of lib/moments.wgsl: the TEAM members, APART
// invocations apart, have some rows each of the same channels. The kernel has `const TEAM` and `const WG`.
const APART: u32 = WG / TEAM;

var<workgroup> team_base: array<vec4f, WG>;
var<workgroup> team_d: array<vec4f, WG>;
var<workgroup> team_q: array<vec4f, WG>;
var<workgroup> team_rows: array<f32, WG>;

// Statistics of all rows of the team of an invocation, in a fixed order, to its first member, which is below
// APART. A member has no rows only where those after it have none. Needs uniform control flow.
fn team_moments(local: u32, own: Statistics, rows: f32) -> Statistics {
  if (TEAM == 1) {
    return own;
  }
  team_base[local] = own.base;
  team_d[local] = own.d;
  team_q[local] = own.q;
  team_rows[local] = rows;
  workgroupBarrier();
  var s = own;
  var count = rows;
  for (var left = TEAM; left > 1; left = (left + 1) / 2) {
    let half = (left + 1) / 2;
    let other = local + half * APART;
    if (local / APART + half < left && team_rows[other] > 0) {
      s = joined_with(s, count, team_rows[other], team_base[other], team_d[other], team_q[other]);
      count += team_rows[other];
      team_d[local] = s.d;
      team_q[local] = s.q;
      team_rows[local] = count;
    }
    workgroupBarrier();
  }
  return s;
}
