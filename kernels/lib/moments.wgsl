// Statistics of rows: their mean as base + d, with a base near it, so that x - base is exact, and q, the sum
// of squared distances from the mean.
struct Statistics {
  base: vec4f,
  d: vec4f,
  q: vec4f,
}

// Of one part, whose mean is k + d.
fn statistics_of(k: vec4f, d: vec4f, q: vec4f) -> Statistics {
  let base = k + d;
  return Statistics(base, (k - base) + d, q);
}

// Those of `count` rows joined with `rows` more, whose mean is k + d (Chan, Golub, LeVeque 1979).
fn joined_with(s: Statistics, count: f32, rows: f32, k: vec4f, d: vec4f, q: vec4f) -> Statistics {
  let both = count + rows;
  let delta = ((k - s.base) + d) - s.d;
  let between = delta * delta * (count * (rows / both));
  return Statistics(s.base, s.d + delta * (rows / both), s.q + (q + between));
}
