// Functions that keep NaN as PyTorch does. WGSL's max, min and clamp may give either operand where one is
// NaN, and compilers may take comparisons of a number with itself for granted: these look at the bits.
fn is_nan(v: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(v) & vec4u(0x7fffffff)) > vec4u(0x7f800000);
}

// max(v, 0); NaN stays NaN.
fn relu(v: vec4f) -> vec4f {
  return select(max(v, vec4f(0)), v, is_nan(v));
}

// tanh(v), clamped to where no driver overflows: exp does in some beyond 44, and tanh(15) is 1 in float32
// already. NaN stays NaN.
fn safe_tanh(v: vec4f) -> vec4f {
  return select(tanh(clamp(v, vec4f(-15), vec4f(15))), v, is_nan(v));
}

// max(v, low) for a number; NaN stays NaN.
fn at_least(v: f32, low: f32) -> f32 {
  return select(max(v, low), v, is_nan(vec4f(v)).x);
}
