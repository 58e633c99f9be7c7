// Source of padded coordinate i in a side of `size`, or -1 where there is none: a zero, or past what padding
// reaches. mode: 0 reflection (torch.nn.ReflectionPad2d), 1 the edge again, 2 zero.
fn padded_source(i: i32, size: i32, mode: u32) -> i32 {
  var at = i;
  if (mode == 0) {
    at = abs(i);
    at = select(at, 2 * (size - 1) - at, at >= size);
  } else if (mode == 1) {
    at = clamp(i, 0, size - 1);
  }
  return select(-1, at, at >= 0 && at < size);
}
