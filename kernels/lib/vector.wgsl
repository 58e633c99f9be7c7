// Four channels at a time: for kernels that treat every channel alike. lib/scalar.wgsl stands here where the
// number of channels is no multiple of 4.
alias V = vec4f;
// Two of them that are added at once.
alias Pair = mat2x4f;

fn added(v: V) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}
