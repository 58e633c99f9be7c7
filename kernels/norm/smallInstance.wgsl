// Instance norm of a small picture in one launch: y = f((x - m) rI) + residual with m and vI = q / ROWS of
// each channel of each sample, rI = 1 / sqrt(vI + EPS); f is max(., 0) with RELU, else the identity.
// x, residual, y [N, ROWS, C], C = 4 G. saved [4, N, G] for the way back: base, rI, -d rI, d, with
// m = base + d.
// One invocation owns four channels of one sample and reads them twice. Without RESIDUAL, binding 1 is not
// read.
// needs: flat moments smallStatistics nan
const N: u32 = 1;
const ROWS: u32 = 2;
const G: u32 = 1;
const RELU: bool = false;
const RESIDUAL: bool = false;
const WG: u32 = 64;

const EPS: f32 = 1e-5;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> residual: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

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
  var e = t / G * ROWS * G + t % G;
  let s = statistics(e);
  let scale = 1 / sqrt(s.q / f32(ROWS) + EPS);
  let shift = -s.d * scale;
  saved[t] = s.base;
  saved[N * G + t] = scale;
  saved[2 * N * G + t] = shift;
  saved[3 * N * G + t] = s.d;
  for (var r = 0u; r < ROWS; r++) {
    var v = fma(x[e] - s.base, scale, shift);
    if (RELU) {
      v = relu(v);
    }
    if (RESIDUAL) {
      v += residual[e];
    }
    y[e] = v;
    e += G;
  }
}
