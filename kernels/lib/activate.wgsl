// What follows a convolution. kind: 0 none, 1 LeakyReLU(slope), 2 ReLU, 3 tanh.
// Needs lib/nan.wgsl.
fn activate(v: vec4f, kind: u32, slope: f32) -> vec4f {
  if (kind == 1) {
    return select(slope * v, v, v > vec4f(0));
  }
  if (kind == 2) {
    return relu(v);
  }
  if (kind == 3) {
    return safe_tanh(v);
  }
  return v;
}
