// Sums of columns that invocations of a workgroup share: the TEAM members of a column are APART invocations
// apart, so that neighbours have neighbouring columns. The kernel has `const TEAM`, `const WG` and the type
// `Share` of what is added.
const APART: u32 = WG / TEAM;

var<workgroup> team_shares: array<Share, WG>;

// Sum over the team of an invocation, in a fixed order, to its first member, which is below APART. Needs
// uniform control flow.
fn team_sum(local: u32, own: Share) -> Share {
  if (TEAM == 1) {
    return own;
  }
  team_shares[local] = own;
  workgroupBarrier();
  for (var left = TEAM; left > 1; left = (left + 1) / 2) {
    let half = (left + 1) / 2;
    if (local / APART + half < left) {
      team_shares[local] += team_shares[local + half * APART];
    }
    workgroupBarrier();
  }
  return team_shares[local];
}
