// Values one by one, for sizes that are not multiples of four.
alias Value = f32;
const LANES: u32 = 1;

fn added(v: Value) -> f32 {
  return v;
}
