// One channel at a time, where lib/vector.wgsl does not fit.
alias V = f32;
const WIDTH: u32 = 1;
// Two of them that are added at once.
alias Pair = vec2f;

fn added(v: V) -> f32 {
  return v;
}

fn from_four(v: vec4f, i: u32) -> V {
  return v[i];
}
