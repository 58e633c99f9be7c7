// Per-channel statistics of parts of a picture: x [N, ROWS, C] (ROWS = pixels), part p owns PER TEAM rows of
// each sample. For part p of (n, c), with T rows and a reference k = mean of the part's first rows:
//   d = sum(x - k) / T,   q = sum (x - mean)^2 = sum (x - k)^2 - T d^2,   mean = k + d kept as two numbers.
// The reference keeps this accurate for large means: |mean - k| <= sqrt(T / LEAD) std whatever the values, so
// the difference loses at most log2(T / LEAD) bits (plain E[x^2] - E[x]^2 loses all at mean 50, std 0.01).
// partials: [3, PARTS, N, G] vec4 (k, d, q), G = ceil(C / 4) groups of four channels; lanes past C hold junk.
// One invocation per (n, p, group), rows in order; or TEAM of them, PER rows each, in a workgroup that joins
// what they found. PER >= 1, PARTS = ceil(ROWS / (PER TEAM)).
// needs: flat straddle nan moments teamMoments rowsOfPart
const N: u32 = 1;
const ROWS: u32 = 1;
const C: u32 = 4;
const PER: u32 = 1;
const PARTS: u32 = 1;
const TEAM: u32 = 1;
const WG: u32 = 64;

const G: u32 = (C + 3) / 4;
const LEAD: u32 = 4;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec4f>;

fn load(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return x[e / 4];
  }
  return straddle(x[e / 4], x[e / 4 + 1], e % 4);
}

// Of `rows` rows from element `start` on, with a reference k near their mean as the base.
fn statistics(start: u32, rows: u32) -> Statistics {
  let lead = min(LEAD, rows);
  var k = vec4f(0);
  for (var r = 0u; r < lead; r++) {
    k += load(start + r * C);
  }
  k /= f32(lead);
  var sum = vec4f(0);
  var squares = vec4f(0);
  var e = start;
  for (var r = 4u; r <= rows; r += 4) {
    let v0 = load(e) - k;
    let v1 = load(e + C) - k;
    let v2 = load(e + 2 * C) - k;
    let v3 = load(e + 3 * C) - k;
    sum += (v0 + v1) + (v2 + v3);
    squares += (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3);
    e += 4 * C;
  }
  for (var r = rows / 4 * 4; r < rows; r++) {
    let v = load(e) - k;
    sum += v;
    squares += v * v;
    e += C;
  }
  let d = sum / f32(rows);
  return Statistics(k, d, relu(squares - sum * d));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let own = rows_of_part(group, groups, local);
  var s = Statistics();
  if (own.rows > 0) {
    s = statistics((own.n * ROWS + own.first) * C + own.g * 4, own.rows);
  }
  s = team_moments(local, s, f32(own.rows));
  if (own.rows == 0 || local >= APART) {
    return;
  }
  let at = (own.p * N + own.n) * G + own.g;
  partials[at] = s.base;
  partials[PARTS * N * G + at] = s.d;
  partials[2 * PARTS * N * G + at] = s.q;
}
