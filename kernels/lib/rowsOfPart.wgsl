// Rows that an invocation of a norm's sums over parts of a picture adds up: of x [N, ROWS, C] part p has the
// rows from p TEAM PER on, of which every member of a team (lib/team.wgsl, lib/teamMoments.wgsl) takes PER.
// Neighbouring invocations have neighbouring groups of four channels.
struct RowsOfPart {
  n: u32,
  p: u32,
  g: u32,
  first: u32,
  rows: u32, // 0 where there are none
}

// Invocations along the G groups of a part. Those of a team are in one workgroup, so that some may be idle.
const LANES: u32 = select((G + WIDTH - 1) / WIDTH * WIDTH, G, TEAM == 1);

fn rows_of_part(group: vec3u, groups: vec3u, local: u32) -> RowsOfPart {
  let t = flat_index(group, groups, local % WIDTH, WIDTH);
  let g = t % LANES;
  let p = t / LANES % PARTS;
  let n = t / (LANES * PARTS);
  let first = (p * TEAM + local / WIDTH) * PER;
  let known = n < N && g < G && first < ROWS;
  return RowsOfPart(n, p, g, first, select(0, min(PER, ROWS - first), known));
}
