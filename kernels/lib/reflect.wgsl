// Reflection without repeating the edge (torch.nn.ReflectionPad2d): -1 -> 1, size -> size - 2.
// i is in -(size-1) .. 2(size-1).
fn reflect(i: i32, size: i32) -> i32 {
  let positive = abs(i);
  return select(positive, 2 * (size - 1) - positive, positive >= size);
}
