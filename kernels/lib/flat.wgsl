// One index over a grid folded into y (see grid1d in engine/record/recorder.ts).
fn flat_index(group: vec3u, groups: vec3u, local: u32, width: u32) -> u32 {
  return (group.y * groups.x + group.x) * width + local;
}
