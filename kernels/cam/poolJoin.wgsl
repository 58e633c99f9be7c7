// Joins the slices of cam/pool in their order: gap = SCALE * sum of totals, gmp = the largest top, the first
// one where several are equal, or the last NaN.
// total, top, at [N,SLICES,C] -> gap, gmp, pixel [N,C]; C = 4 C4, SCALE = 1 / HW. A lane owns one vec4.
// needs: flat nan
const N: u32 = 1;
const C4: u32 = 1;
const SLICES: u32 = 1;
const SCALE: f32 = 1.0;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> total: array<vec4f>;
@group(0) @binding(1) var<storage, read> top: array<vec4f>;
@group(0) @binding(2) var<storage, read> at: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> gap: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gmp: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> pixel: array<vec4u>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * C4) {
    return;
  }
  let start = i / C4 * SLICES * C4 + i % C4;
  var sum = vec4f(0);
  var best = top[start];
  var first = at[start];
  for (var s = 0u; s < SLICES; s++) {
    sum += total[start + s * C4];
    let value = top[start + s * C4];
    let more = (value > best) | is_nan(value);
    best = select(best, value, more);
    first = select(first, at[start + s * C4], more);
  }
  gap[i] = sum * SCALE;
  gmp[i] = best;
  pixel[i] = first;
}
