// Gradient of instance norm for a small picture in one launch; notation of backwardCoefficients.wgsl, KIND 0:
//   dx = rI g - rI³ S2 / ROWS (x - m) - rI S1 / ROWS,   S1 = sum g,   S2 = sum g (x - m)
// g = dy, with RELU 0 where (x - base) scale + shift <= 0, computed as in smallInstance.wgsl.
// x, dy, dx [N, ROWS, C], C = 4 G; saved [4, N, G] from smallInstance.wgsl.
// One invocation owns four channels of one sample and reads them twice, rows in order.
// needs: flat passing
const N: u32 = 1;
const ROWS: u32 = 2;
const G: u32 = 1;
const RELU: bool = false;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let t = flat_index(group, groups, local, WG);
  if (t >= N * G) {
    return;
  }
  let first = t / G * ROWS * G + t % G;
  let base = saved[t];
  let scale = saved[N * G + t];
  let shift = saved[2 * N * G + t];
  let d = saved[3 * N * G + t];
  var s1 = vec4f(0);
  var s2 = vec4f(0);
  var e = first;
  for (var r = 0u; r < ROWS; r++) {
    let v = x[e] - base;
    let g = passing(dy[e], v, scale, shift);
    s1 += g;
    s2 = fma(g, v, s2);
    e += G;
  }
  let b = -scale * scale * scale * (s2 - d * s1) / f32(ROWS);
  let c = -scale * s1 / f32(ROWS) - b * d;
  e = first;
  for (var r = 0u; r < ROWS; r++) {
    let v = x[e] - base;
    let g = passing(dy[e], v, scale, shift);
    dx[e] = fma(scale, g, fma(b, v, c));
    e += G;
  }
}
