// Sum of `value` over the WG invocations of a workgroup, in a fixed order, to all of them: eight invocations
// add every eighth value, then each adds the eight. Needs uniform control flow and `const WG` (8 or more).
var<workgroup> total_lanes: array<vec2f, WG>;
var<workgroup> total_eighths: array<vec2f, 8>;

fn total(local: u32, value: vec2f) -> vec2f {
  total_lanes[local] = value;
  workgroupBarrier();
  if (local < 8) {
    var sum = total_lanes[local];
    for (var i = local + 8; i < WG; i += 8) {
      sum += total_lanes[i];
    }
    total_eighths[local] = sum;
  }
  workgroupBarrier();
  var sum = total_eighths[0];
  for (var i = 1; i < 8; i++) {
    sum += total_eighths[i];
  }
  return sum;
}
