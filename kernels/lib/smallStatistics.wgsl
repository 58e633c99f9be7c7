// Statistics of one vec4 of channels of a small picture whose rows lie G vec4s apart in `x` of the kernel:
// blocks of BLOCK rows around a reference near their mean (as in norm/statistics.wgsl), joined in order.
// Needs lib/moments.wgsl and lib/nan.wgsl.
const BLOCK: u32 = 64;
const LEAD: u32 = 4;

// Of `rows` rows from vec4 `first` on, with a reference near their mean as the base.
fn block(first: u32, rows: u32) -> Statistics {
  let lead = min(LEAD, rows);
  var k = vec4f(0);
  for (var r = 0u; r < lead; r++) {
    k += x[first + r * G];
  }
  k /= f32(lead);
  var sum = vec4f(0);
  var squares = vec4f(0);
  var e = first;
  for (var r = 0u; r < rows; r++) {
    let v = x[e] - k;
    sum += v;
    squares += v * v;
    e += G;
  }
  let d = sum / f32(rows);
  return Statistics(k, d, relu(squares - sum * d));
}

fn statistics(first: u32) -> Statistics {
  var count = f32(min(BLOCK, ROWS));
  let start = block(first, min(BLOCK, ROWS));
  var s = statistics_of(start.base, start.d, start.q);
  for (var row = BLOCK; row < ROWS; row += BLOCK) {
    let rows = f32(min(BLOCK, ROWS - row));
    let next = block(first + row * G, min(BLOCK, ROWS - row));
    s = joined_with(s, count, rows, next.base, next.d, next.q);
    count += rows;
  }
  return s;
}
