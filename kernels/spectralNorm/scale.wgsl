// y = w / sigma, elementwise. A lane owns PER vec4s, WG apart. N4: vec4s (buffers are padded to 16 bytes).
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
  let first = flat_index(group, groups, 0, WG * PER) + local;
  let s = sigma[0];
  for (var j = 0u; j < PER; j++) {
    let i = first + j * WG;
    if (i < N4) {
      y[i] = w[i] / s;
    }
  }
}
