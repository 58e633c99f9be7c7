// Four channels at a time: for kernels that treat every channel alike. lib/scalar.wgsl stands here where the
// number of channels is no multiple of 4.
alias V = vec4f;
const WIDTH: u32 = 4;
// Two of them that are added at once.
alias Pair = mat2x4f;

fn added(v: V) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

// Channels i .. i + WIDTH - 1 of four.
fn from_four(v: vec4f, i: u32) -> V {
  return v;
}
