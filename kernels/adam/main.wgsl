// One step of torch.optim.Adam over a flat range, with coupled weight decay:
//   g' = g + DECAY p;  m = B1 m + (1 - B1) g';  v = B2 v + (1 - B2) g'^2
//   p -= lr / (1 - B1^t) * m / (sqrt(v) / sqrt(1 - B2^t) + EPS)
// hyper = [lr / (1 - B1^t), sqrt(1 - B2^t)] changes every step. C1 and C2 are 1 - B1 and 1 - B2, rounded
// once (1 - 0.999 in float32 is off by 5e-5). A lane owns PER vec4s, WG apart. N4: vec4s.
// WATCHED > 0: the range is that of so many networks, one after the other; network k ends before vec4
// networks[k].x, and flags[networks[k].y] becomes 1 when a parameter or second moment of it is not finite any
// more (as it is after a gradient that was not). A flag stays as it was otherwise.
// needs: flat
// static: B1 B2 C1 C2 EPS DECAY
const N4: u32 = 1;
const WATCHED: u32 = 0;
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
@group(0) @binding(5) var<storage, read> networks: array<vec2u>;
// Floats as bits. Whoever comes first writes what all would.
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

const EXPONENT: u32 = 0x7f800000;
const ONE: u32 = 0x3f800000;

fn not_finite(v: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(v) & vec4u(EXPONENT)) == vec4u(EXPONENT);
}

// Raises the flag of the network that vec4 i belongs to.
fn raise_flag(i: u32) {
  var k = 0u;
  while (k + 1 < WATCHED && i >= networks[k].x) {
    k++;
  }
  atomicStore(&flags[networks[k].y], ONE);
}

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
    var d = g[i];
    if (DECAY != 0) {
      d += DECAY * w;
    }
    let m1 = B1 * m[i] + C1 * d;
    let v1 = B2 * v[i] + C2 * d * d;
    m[i] = m1;
    v[i] = v1;
    let next = w - rate * m1 / (sqrt(v1) / root + EPS);
    p[i] = next;
    if (WATCHED > 0 && any(not_finite(next) | not_finite(v1))) {
      raise_flag(i);
    }
  }
}
