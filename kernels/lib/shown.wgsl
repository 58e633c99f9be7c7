// The i-th padded position that shows pixel u of a side of `size`, or -1: itself, then its images in a
// padding of `before` pixels. mode 0: reflection, at most two images; 1: the edge again, before = 1.
fn shown(u: i32, i: u32, size: i32, before: i32, mode: u32) -> i32 {
  if (i == 0) {
    return u + before;
  }
  if (mode == 1) {
    let start = select(-1, 0, i == 1 && u == 0);
    return select(start, size + 1, i == 2 && u == size - 1);
  }
  if (i == 1) {
    return select(-1, before - u, u >= 1 && u <= before);
  }
  return select(-1, before + 2 * (size - 1) - u, u <= size - 2 && u >= size - 1 - before);
}
