// The end of backwardEpilogue.wgsl: dbias[c] = sum of part[s,0,c] over all slices s (where BIAS), and
// dsigma[k] = -(sum of part[s,1,c] over channels and the slices of call k) / sigma[k].
// part [CALLS SLICES, 2, CV V]. One workgroup; an invocation adds the slices of every WG-th V in order.
// WG is a multiple of 8.
// needs: total LANES=vector
const CV: u32 = 1;
const CALLS: u32 = 1;
const SLICES: u32 = 1;
const BIAS: bool = false;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> part: array<V>;
@group(0) @binding(1) var<storage, read> sigma: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbias: array<V>;
@group(0) @binding(3) var<storage, read_write> dsigma: array<f32>;

// Sum of part[s, which, c] over the slices from `first` to before `end`.
fn sum_of(first: u32, end: u32, which: u32, c: u32) -> V {
  var sum = V(0);
  for (var slice = first; slice < end; slice++) {
    sum += part[(slice * 2 + which) * CV + c];
  }
  return sum;
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) local: u32) {
  if (BIAS) {
    for (var c = local; c < CV; c += WG) {
      dbias[c] = sum_of(0, CALLS * SLICES, 0, c);
    }
  }
  for (var call = 0u; call < CALLS; call++) {
    var product = 0.0;
    for (var c = local; c < CV; c += WG) {
      product += added(sum_of(call * SLICES, call * SLICES + SLICES, 1, c));
    }
    let all = total(local, vec2f(product, 0)).x;
    if (local == 0) {
      dsigma[call] = -all / sigma[call];
    }
  }
}
