// The way back through what follows the sums z of a convolution under spectral norm, y = f(z / sigma + bias):
//   dz = dy f'(y) / sigma,   dbias[c] = sum of dy f'(y),
//   dsigma[k] = -(sum of dy f'(y) (f⁻¹(y) - bias)) / sigma[k], for the rows of call k
// since d(z / sigma) / dsigma = -(z / sigma) / sigma. f is none (ACT 0) or LeakyReLU (ACT 1, SLOPE > 0),
// whose inverse is known from y. Rows are those of CALLS calls, ROWS each, in SLICES slices of PER TEAM rows
// a call. TEAM invocations of a workgroup share one V (one or four channels) of a slice, PER rows each; dy,
// y, dz [CALLS ROWS, CV V], part [CALLS SLICES, 2, CV]: sums for dbias and dsigma (SUMS; else only dz, and
// TEAM 1). finishEpilogue.wgsl adds those.
// needs: flat team rowsOfPart LANES=vector
const CV: u32 = 1;
const CALLS: u32 = 1;
const ROWS: u32 = 1;
const SLICES: u32 = 1;
const PER: u32 = 1;
const BIAS: bool = false;
const SUMS: bool = true;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
const TEAM: u32 = 1;
const WG: u32 = 64;

// As lib/rowsOfPart.wgsl has them.
const N: u32 = CALLS;
const G: u32 = CV;
const PARTS: u32 = SLICES;

// Sums for dbias and dsigma.
alias Share = Pair;

@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> y: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<V>;
@group(0) @binding(3) var<storage, read> sigma: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<V>;
@group(0) @binding(5) var<storage, read_write> part: array<V>;

// dz of `rows` rows from element `first` on.
fn pass_back(call: u32, c: u32, first: u32, rows: u32) -> Share {
  let s = sigma[call];
  var b = V(0);
  if (BIAS) {
    b = bias[c];
  }
  var at = first;
  var sum = V(0);
  var product = V(0);
  let step = CV;
  for (var r = 0u; r < rows; r++) {
    var g = dy[at];
    if (ACT == 1 || SUMS) {
      var v = y[at];
      if (ACT == 1) {
        let positive = v > V(0);
        g = select(SLOPE * g, g, positive);
        v = select(v / SLOPE, v, positive);
      }
      sum += g;
      product += g * (v - b);
    }
    dz[at] = g / s;
    at += step;
  }
  return Share(sum, product);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let own = rows_of_part(group, groups, local);
  var sums = Share();
  if (own.rows > 0) {
    sums = pass_back(own.n, own.g, (own.n * ROWS + own.first) * CV + own.g, own.rows);
  }
  if (SUMS) {
    sums = team_sum(local, sums);
    if (own.rows > 0 && local < APART) {
      let to = (own.n * SLICES + own.p) * 2 * CV + own.g;
      part[to] = sums[0];
      part[to + CV] = sums[1];
    }
  }
}
