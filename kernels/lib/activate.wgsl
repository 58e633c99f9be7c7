// What follows a convolution. kind: 0 none, 1 LeakyReLU(slope), 2 ReLU, 3 tanh.
fn activate(v: vec4f, kind: u32, slope: f32) -> vec4f {
  if (kind == 1) {
    return select(slope * v, v, v > vec4f(0));
  }
  if (kind == 2) {
    return max(v, vec4f(0));
  }
  if (kind == 3) {
    return tanh(clamp(v, vec4f(-15), vec4f(15)));
  }
  return v;
}
