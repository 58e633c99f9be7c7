// Partial sums of <a, b>: part[g] = sum over the vec4s g PER .. +PER. N4: vec4s; part holds GROUPS sums, and
// zeros up to a multiple of 4. One workgroup per partial sum; lanes are added in lane order.
const N4: u32 = 1;
const PER: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;

var<workgroup> lanes: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = vec4f(0);
  let end = min(group.x * PER + PER, N4);
  for (var i = group.x * PER + lane; i < end; i += WG) {
    sum = fma(a[i], b[i], sum);
  }
  lanes[lane] = dot(sum, vec4f(1));
  workgroupBarrier();
  if (lane == 0) {
    var all = 0.0;
    for (var i = 0u; i < WG; i++) {
      all += lanes[i];
    }
    part[group.x] = all;
  }
}
