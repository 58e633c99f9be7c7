// Per-channel sums over parts of a picture for the gradients of a norm:
//   s1 = sum g,   s2 = sum g (x - base),   g = dy where f passes it on
// With RELU, g = 0 where (x - base) scale + shift <= 0, computed as in apply.wgsl: y is not read.
// x, dy [N, ROWS, C]; saved [7, N, G] from coefficients.wgsl; partials [2, PARTS, N, G] vec4 (s1, s2).
// One invocation per (n, part p of PER rows, four channels), rows in order; or TEAM of them, PER rows each,
// in a workgroup that adds up what they found. PARTS = ceil(ROWS / (PER TEAM)).
// needs: flat straddle passing team rowsOfPart
const N: u32 = 1;
const ROWS: u32 = 2;
const C: u32 = 4;
const PER: u32 = 2;
const PARTS: u32 = 1;
const TEAM: u32 = 1;
const RELU: bool = false;
const WG: u32 = 64;

const G: u32 = (C + 3) / 4;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

fn load_x(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return x[e / 4];
  }
  return straddle(x[e / 4], x[e / 4 + 1], e % 4);
}

fn load_dy(e: u32) -> vec4f {
  if (C % 4 == 0) {
    return dy[e / 4];
  }
  return straddle(dy[e / 4], dy[e / 4 + 1], e % 4);
}

// s1 and s2.
alias Share = mat2x4f;

fn term(e: u32, base: vec4f, scale: vec4f, shift: vec4f) -> Share {
  let v = load_x(e) - base;
  let g = passing(load_dy(e), v, scale, shift);
  return Share(g, g * v);
}

// Of `rows` rows of sample n from row `first` on.
fn sums(n: u32, g: u32, first: u32, rows: u32) -> Share {
  let base = saved[n * G + g];
  let scale = saved[(N + n) * G + g];
  let shift = saved[(2 * N + n) * G + g];
  var e = (n * ROWS + first) * C + g * 4;
  var s = Share();
  for (var r = 4u; r <= rows; r += 4) {
    let a = term(e, base, scale, shift);
    let b = term(e + C, base, scale, shift);
    let c = term(e + 2 * C, base, scale, shift);
    let d = term(e + 3 * C, base, scale, shift);
    s += (a + b) + (c + d);
    e += 4 * C;
  }
  for (var r = rows / 4 * 4; r < rows; r++) {
    s += term(e, base, scale, shift);
    e += C;
  }
  return s;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let own = rows_of_part(group, groups, local);
  var s = Share();
  if (own.rows > 0) {
    s = sums(own.n, own.g, own.first, own.rows);
  }
  s = team_sum(local, s);
  if (own.rows == 0 || local >= APART) {
    return;
  }
  let at = (own.p * N + own.n) * G + own.g;
  partials[at] = s[0];
  partials[PARTS * N * G + at] = s[1];
}
