// Gradient of mean and maximum: dx[n,p,c] (+)= dgap[n,c] / HW + (p == pixel[n,c] ? dgmp[n,c] : 0), p < HW.
// dgap, dgmp, pixel [N,C], dx [N,HW,C]; C = 4 C4. MEAN, MAX: which of the two gradients there is.
// A lane owns one vec4 of channels of PER pixels. ADD: adds to what dx holds.
// needs: flat
const N: u32 = 1;
const HW: u32 = 1;
const C4: u32 = 1;
const PER: u32 = 1;
const MEAN: bool = true;
const MAX: bool = true;
const WG: u32 = 64;
const ADD: bool = false;

@group(0) @binding(0) var<storage, read> dgap: array<vec4f>;
@group(0) @binding(1) var<storage, read> dgmp: array<vec4f>;
@group(0) @binding(2) var<storage, read> pixel: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

const TILES: u32 = (HW + PER - 1) / PER;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * TILES * C4) {
    return;
  }
  let c = i % C4;
  let n = i / (C4 * TILES);
  var spread = vec4f(0);
  if (MEAN) {
    spread = dgap[n * C4 + c] / f32(HW);
  }
  var peak = vec4f(0);
  if (MAX) {
    peak = dgmp[n * C4 + c];
  }
  let best = pixel[n * C4 + c];
  let first = i / C4 % TILES * PER;
  let end = min(first + PER, HW);
  let step = C4;
  var to = (n * HW + first) * step + c;
  for (var p = first; p < end; p++) {
    var sum = spread + select(vec4f(0), peak, best == vec4u(p));
    if (ADD) {
      sum += dx[to];
    }
    dx[to] = sum;
    to += step;
  }
}
