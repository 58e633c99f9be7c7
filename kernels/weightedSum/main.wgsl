// y[0] = A a[0] + B b[0]: adds two weighted scalars (loss terms). One invocation.
const A: f32 = 1.0;
const B: f32 = 1.0;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
  y[0] = A * a[0] + B * b[0];
}
