// The end of backwardEpilogue.wgsl: dbias[c] = sum of part[s,0,c] over all slices s (where BIAS), and
// dsigma[k] = -(sum of part[s,1,c] over channels and the slices of call k) / sigma[k].
// part [CALLS SLICES, 2, CV V]. One workgroup. An invocation adds the slices of every APART-th V in order; on
// a GPU the TEAM members of a V take a run of each call's slices each. WG is a multiple of 8.
// needs: total team LANES=vector
const CV: u32 = 1;
const CALLS: u32 = 1;
const SLICES: u32 = 1;
const BIAS: bool = false;
const WG: u32 = 64;

// A processor's workgroup is one vector, which gains nothing by sharing.
const TEAM: u32 = select(1u, max(1u, WG / CV), WG > 8);
const RUN: u32 = (SLICES + TEAM - 1) / TEAM;

alias Share = V;

@group(0) @binding(0) var<storage, read> part: array<V>;
@group(0) @binding(1) var<storage, read> sigma: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbias: array<V>;
@group(0) @binding(3) var<storage, read_write> dsigma: array<f32>;

// `sum` and the sum of part[s, which, c] over a member's slices of a call.
fn with_slices(sum: V, call: u32, member: u32, which: u32, c: u32) -> V {
  var all = sum;
  let first = call * SLICES + member * RUN;
  let end = call * SLICES + min(member * RUN + RUN, SLICES);
  for (var slice = first; slice < end; slice++) {
    all += part[(slice * 2 + which) * CV + c];
  }
  return all;
}

fn add_bias(local: u32) {
  for (var start = 0u; start < CV; start += APART) {
    let c = start + local % APART;
    var sum = V(0);
    for (var call = 0u; call < CALLS && c < CV; call++) {
      sum = with_slices(sum, call, local / APART, 0, c);
    }
    sum = team_sum(local, sum);
    if (c < CV && local < APART) {
      dbias[c] = sum;
    }
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) local: u32) {
  if (BIAS) {
    add_bias(local);
  }
  for (var call = 0u; call < CALLS; call++) {
    var product = 0.0;
    for (var c = local % APART; c < CV; c += APART) {
      product += added(with_slices(V(0), call, local / APART, 1, c));
    }
    let all = total(local, vec2f(product, 0)).x;
    if (local == 0) {
      dsigma[call] = -all / sigma[call];
    }
  }
}
