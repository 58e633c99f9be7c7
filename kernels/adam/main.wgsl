// One step of torch.optim.Adam over a flat range, with coupled weight decay:
//   g' = g + DECAY p;  m = B1 m + (1 - B1) g';  v = B2 v + (1 - B2) g'^2
//   p -= lr / (1 - B1^t) * m / (sqrt(v) / sqrt(1 - B2^t) + EPS)
// hyper = [lr / (1 - B1^t), sqrt(1 - B2^t)] changes every step. C1 and C2 are 1 - B1 and 1 - B2, rounded
// once (1 - 0.999 in float32 is off by 5e-5). A lane owns PER vec4s, WG apart. N4: vec4s.
// needs: flat
// static: B1 B2 C1 C2 EPS DECAY
const N4: u32 = 1;
const PER: u32 = 1;
const WG: u32 = 64;
const B1: f32 = 0.5;
const B2: f32 = 0.999;
const C1: f32 = 0.5;
const C2: f32 = 0.001;
const EPS: f32 = 1e-8;
const DECAY: f32 = 0.0;

@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let start = flat_index(group, groups, 0, WG * PER);
  let end = min(start + WG * PER, N4);
  let rate = hyper[0];
  let root = hyper[1];
  for (var i = start + local; i < end; i += WG) {
    let w = p[i];
    let d = g[i] + DECAY * w;
    let m1 = B1 * m[i] + C1 * d;
    let v1 = B2 * v[i] + C2 * d * d;
    m[i] = m1;
    v[i] = v1;
    p[i] = w - rate * m1 / (sqrt(v1) / root + EPS);
  }
}
