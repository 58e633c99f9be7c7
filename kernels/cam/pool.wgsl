// Sum and maximum over pixels in one pass: x [N,HW,C] -> total, top, at, each [N,SLICES,C]; C = 4 C4.
// Slice s covers pixels s PER .. +PER; `at` is the first pixel that has the maximum (row-major).
// NaN counts as larger than any number, the last one as the largest: torch.nn.functional.adaptive_max_pool2d.
// total is multiplied by SCALE (1 / HW when there is one slice). A lane owns one vec4 of channels of a slice.
// needs: flat nan
const N: u32 = 1;
const HW: u32 = 1;
const C4: u32 = 1;
const SLICES: u32 = 1;
const PER: u32 = 1;
const SCALE: f32 = 1.0;
const WG: u32 = 64;

// Pixels that are added to each other before they are added to the sum: one long sum would round more.
const BLOCK: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> top: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> at: array<vec4u>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * SLICES * C4) {
    return;
  }
  let first = i / C4 % SLICES * PER;
  let end = min(first + PER, HW);
  let step = C4;
  var at_x = i / (C4 * SLICES) * HW * C4 + i % C4 + first * step;
  var sum = vec4f(0);
  var best = x[at_x];
  var pixel = vec4u(first);
  for (var start = first; start < end; start += BLOCK) {
    var part = vec4f(0);
    let stop = min(start + BLOCK, end);
    for (var p = start; p < stop; p++) {
      let value = x[at_x];
      at_x += step;
      part += value;
      let more = (value > best) | is_nan(value);
      best = select(best, value, more);
      pixel = select(pixel, vec4u(p), more);
    }
    sum += part;
  }
  total[i] = sum * SCALE;
  top[i] = best;
  at[i] = pixel;
}
