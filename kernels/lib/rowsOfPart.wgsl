// Rows that an invocation of sums over parts of a picture adds up: of x [N, ROWS, G columns] part p of PARTS
// has the rows from p TEAM PER on, of which every member of a team (lib/team.wgsl, lib/teamMoments.wgsl)
// takes PER. Neighbouring invocations have neighbouring columns, which may be groups of channels.
struct RowsOfPart {
  n: u32,
  p: u32,
  g: u32,
  first: u32,
  rows: u32, // 0 where there are none
}

// Invocations along the columns of a part. Those of a team are in one workgroup, so that some may be idle.
const ALONG: u32 = select((G + APART - 1) / APART * APART, G, TEAM == 1);

fn rows_of_part(group: vec3u, groups: vec3u, local: u32) -> RowsOfPart {
  let t = flat_index(group, groups, local % APART, APART);
  let g = t % ALONG;
  let p = t / ALONG % PARTS;
  let n = t / (ALONG * PARTS);
  let first = (p * TEAM + local / APART) * PER;
  let known = n < N && g < G && first < ROWS;
  return RowsOfPart(n, p, g, first, select(0, min(PER, ROWS - first), known));
}
