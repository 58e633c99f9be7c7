// y = A a + B b + ...: the sum of TERMS weighted scalars (loss terms), from left to right. One invocation.
const TERMS: u32 = 1;
const A: f32 = 0.0;
const B: f32 = 0.0;
const C: f32 = 0.0;
const D: f32 = 0.0;
const E: f32 = 0.0;
const F: f32 = 0.0;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read> d: array<f32>;
@group(0) @binding(4) var<storage, read> e: array<f32>;
@group(0) @binding(5) var<storage, read> f: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = A * a[0];
  if (TERMS > 1) {
    sum += B * b[0];
  }
  if (TERMS > 2) {
    sum += C * c[0];
  }
  if (TERMS > 3) {
    sum += D * d[0];
  }
  if (TERMS > 4) {
    sum += E * e[0];
  }
  if (TERMS > 5) {
    sum += F * f[0];
  }
  y[0] = sum;
}
