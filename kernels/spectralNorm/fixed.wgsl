// sigma = u . s for fixed u, with s = W v as partial sums over SLICES: spectral norm without power iteration.
// Copies u [O] and v [M] for the backward pass, since a later call may advance them. M = 4 M4; s [SLICES,O].
// One workgroup; lanes are added in lane order.
const M4: u32 = 1;
const O: u32 = 1;
const SLICES: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read> u_kept: array<f32>;
@group(0) @binding(2) var<storage, read> v_kept: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> u: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> sigma: array<f32>;

var<workgroup> lanes: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var product = 0.0;
  for (var o = lane; o < O; o += WG) {
    var sum = 0.0;
    for (var i = 0u; i < SLICES; i++) {
      sum += s[i * O + o];
    }
    product += sum * u_kept[o];
    u[o] = u_kept[o];
  }
  for (var i = lane; i < M4; i += WG) {
    v[i] = v_kept[i];
  }
  lanes[lane] = product;
  workgroupBarrier();
  if (lane == 0) {
    var all = 0.0;
    for (var i = 0u; i < WG; i++) {
      all += lanes[i];
    }
    sigma[0] = all;
  }
}
