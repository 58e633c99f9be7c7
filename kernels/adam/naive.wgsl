// One step of torch.optim.Adam as written first: one invocation per element, launched for one tensor.
//   g' = g + DECAY p;  m = B1 m + (1 - B1) g';  v = B2 v + (1 - B2) g'^2
//   p -= lr / (1 - B1^t) * m / (sqrt(v) / sqrt(1 - B2^t) + EPS)
// hyper = [lr / (1 - B1^t), sqrt(1 - B2^t)]; C1 = 1 - B1, C2 = 1 - B2. COUNT: elements.
// needs: flat
const COUNT: u32 = 1;
const WG: u32 = 64;
const B1: f32 = 0.5;
const B2: f32 = 0.999;
const C1: f32 = 0.5;
const C2: f32 = 0.001;
const EPS: f32 = 1e-8;
const DECAY: f32 = 0.0;

@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= COUNT) {
    return;
  }
  var d = g[i];
  if (DECAY != 0) {
    d += DECAY * p[i];
  }
  m[i] = B1 * m[i] + C1 * d;
  v[i] = B2 * v[i] + C2 * d * d;
  p[i] = p[i] - hyper[0] * m[i] / (sqrt(v[i]) / hyper[1] + EPS);
}
