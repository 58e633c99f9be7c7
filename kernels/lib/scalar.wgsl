// One channel at a time, where lib/vector.wgsl does not fit.
alias V = f32;

fn added(v: V) -> f32 {
  return v;
}
