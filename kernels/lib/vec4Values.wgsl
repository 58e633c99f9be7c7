// Values by four.
alias Value = vec4f;
const LANES: u32 = 4;

fn added(v: Value) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}
