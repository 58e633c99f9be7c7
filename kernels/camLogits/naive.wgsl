// The logits of one HEAD h (0 gap, 1 gmp) as written first, one invocation per output element:
// forward: y[n,h] = <x[n], w> / sigma[k], k = floor(n CALLS / N).
// backwardInput: dx[n,c] = dy[n,h] w[c] / sigma[k].
// backwardWeight: dw[c] = sum_n dy[n,h] / sigma[k] (x[n,c] - <x[n], w> / sigma[k] u[k] v[k,c]).
// Without SPECTRAL sigma is 1 and the term of u and v is absent. x [N,C], w [C], y and dy [N,2], sigma and
// u [CALLS], v [CALLS,C]. Any N and C.
// needs: flat
const N: u32 = 1;
const C: u32 = 1;
const CALLS: u32 = 1;
const SPECTRAL: bool = false;
const HEAD: u32 = 0;
const WG: u32 = 64;

// `to` is y, dx or dw; forward does not read dy.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> sigma: array<f32>;
@group(0) @binding(3) var<storage, read> u: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> to: array<f32>;

fn divisor(n: u32) -> f32 {
  if (SPECTRAL) {
    return sigma[n * CALLS / N];
  }
  return 1.0;
}

fn logit(n: u32) -> f32 {
  var sum = 0.0;
  for (var c = 0u; c < C; c++) {
    sum += x[n * C + c] * w[c];
  }
  return sum / divisor(n);
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < N) {
    to[id.x * 2 + HEAD] = logit(id.x);
  }
}

@compute @workgroup_size(WG)
fn backwardInput(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i < N * C) {
    let n = i / C;
    to[i] = dy[n * 2 + HEAD] * w[i % C] / divisor(n);
  }
}

@compute @workgroup_size(WG)
fn backwardWeight(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  if (c >= C) {
    return;
  }
  var sum = 0.0;
  for (var n = 0u; n < N; n++) {
    var change = x[n * C + c];
    if (SPECTRAL) {
      let k = n * CALLS / N;
      change -= logit(n) * u[k] * v[k * C + c];
    }
    sum += dy[n * 2 + HEAD] / divisor(n) * change;
  }
  to[c] = sum;
}
