// What the activation after a norm lets through of a gradient: dy, with the kernel's RELU 0 where
// v scale + shift <= 0. The sum is that of the forward pass, to the bit. The gradient of NaN passes, as in
// PyTorch.
fn passing(dy: vec4f, v: vec4f, scale: vec4f, shift: vec4f) -> vec4f {
  if (RELU) {
    return select(dy, vec4f(0), fma(v, scale, shift) <= vec4f(0));
  }
  return dy;
}
