// Four neighbouring floats that start s (0..3) floats into `low`; `high` is the vec4 that follows `low`.
// For rows whose length is not a multiple of 4, read from an array of vec4.
fn straddle(low: vec4f, high: vec4f, s: u32) -> vec4f {
  switch s {
    case 1: {
      return vec4f(low.yzw, high.x);
    }
    case 2: {
      return vec4f(low.zw, high.xy);
    }
    case 3: {
      return vec4f(low.w, high.xyz);
    }
    default: {
      return low;
    }
  }
}
