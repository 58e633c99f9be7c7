// a / b, exact while it is below 2^22: lavapipe divides integers one lane at a time, as slowly as it loads a
// vec4f. The quotient of floats is wrong by one at most, which the remainder tells.
fn quotient(a: u32, b: u32) -> u32 {
  let q = u32(f32(a) / f32(b));
  let rest = i32(a - q * b);
  return select(q, q - 1, rest < 0) + u32(rest >= i32(b));
}
