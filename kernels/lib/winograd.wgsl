// The one-dimensional transforms of Winograd's minimal filtering F(4,3) (Lavin and Gray, arXiv 1509.09308):
// four outputs of a three-tap correlation from six products, y = Aᵀ [(G g) * (Bᵀ d)]; twice gives F(4x4,3x3).
// By Toom and Cook's construction from the points 0, ±PA, ±PB and infinity; with the usual 0, ±1, ±2 float32
// loses three times as much (0.6, 1.0, 3.1e-6 at 256 channels: direct, these points, those).
const PA: f32 = 0.625;
const PB: f32 = 1.5;
const A2: f32 = PA * PA;
const B2: f32 = PB * PB;
const A3: f32 = A2 * PA;
const B3: f32 = B2 * PB;
const PRODUCT: f32 = A2 * B2;
const SUM: f32 = A2 + B2;
// 1 / m'(p), with m(t) = t (t² - PA²) (t² - PB²).
const WEIGHT_0: f32 = 1 / PRODUCT;
const WEIGHT_A: f32 = 1 / (2 * A2 * (A2 - B2));
const WEIGHT_B: f32 = 1 / (2 * B2 * (B2 - A2));

const TILE: u32 = 4;
const SIDE: u32 = 6;
const LAYERS: u32 = SIDE * SIDE;

alias Outputs = array<vec4f, 4>;
alias Line = array<vec4f, 6>;
alias Taps = array<vec4f, 3>;

// Bᵀ d
fn input_line(d: Line) -> Line {
  let a = d[4] - B2 * d[2];
  let b = d[4] - A2 * d[2];
  let c = PA * (d[3] - B2 * d[1]);
  let e = PB * (d[3] - A2 * d[1]);
  let first = PRODUCT * d[0] - SUM * d[2] + d[4];
  return Line(first, a + c, a - c, b + e, b - e, PRODUCT * d[1] - SUM * d[3] + d[5]);
}

// B v
fn input_back(v: Line) -> Line {
  let a = v[1] + v[2];
  let b = v[3] + v[4];
  let c = PA * (v[1] - v[2]);
  let e = PB * (v[3] - v[4]);
  let odd = PRODUCT * v[5] - B2 * c - A2 * e;
  let even = -SUM * v[0] - B2 * a - A2 * b;
  return Line(PRODUCT * v[0], odd, even, c + e - SUM * v[5], v[0] + a + b, v[5]);
}

// Aᵀ m
fn output_line(m: Line) -> Outputs {
  let a = m[1] + m[2];
  let b = m[3] + m[4];
  let c = m[1] - m[2];
  let e = m[3] - m[4];
  return Outputs(m[0] + a + b, PA * c + PB * e, A2 * a + B2 * b, A3 * c + B3 * e + m[5]);
}

// A y
fn output_back(y: Outputs) -> Line {
  let a = y[0] + A2 * y[2];
  let b = y[0] + B2 * y[2];
  let c = PA * y[1] + A3 * y[3];
  let e = PB * y[1] + B3 * y[3];
  return Line(y[0], a + c, a - c, b + e, b - e, y[3]);
}

// G g
fn weight_line(g: Taps) -> Line {
  let a = WEIGHT_A * (g[0] + A2 * g[2]);
  let b = WEIGHT_B * (g[0] + B2 * g[2]);
  let c = WEIGHT_A * PA * g[1];
  let e = WEIGHT_B * PB * g[1];
  return Line(WEIGHT_0 * g[0], a + c, a - c, b + e, b - e, g[2]);
}

// Gᵀ u
fn weight_back(u: Line) -> Taps {
  let a = WEIGHT_A * (u[1] + u[2]);
  let b = WEIGHT_B * (u[3] + u[4]);
  let c = WEIGHT_A * (u[1] - u[2]);
  let e = WEIGHT_B * (u[3] - u[4]);
  return Taps(WEIGHT_0 * u[0] + a + b, PA * c + PB * e, A2 * a + B2 * b + u[5]);
}
