// y = w / sigma, elementwise. A lane owns PER vec4s, WG apart (a loop of unknown length: unrolled,
// it is 1.6 times slower on lavapipe). N4: vec4s (buffers are padded to 16 bytes).
// needs: flat
const N4: u32 = 1;
const PER: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> w: array<vec4f>;
@group(0) @binding(1) var<storage, read> sigma: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let start = flat_index(group, groups, 0, WG * PER);
  let end = min(start + WG * PER, N4);
  let s = sigma[0];
  for (var i = start + local; i < end; i += WG) {
    y[i] = w[i] / s;
  }
}
