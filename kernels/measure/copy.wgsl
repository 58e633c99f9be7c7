// Ceiling of memory: y = x. A workgroup owns WG * PER vec4f of y; neighbouring invocations take neighbours.
// N4: vec4s, a multiple of WG * PER.
// needs: flat
// static: PER
const N4: u32 = 64;
const WG: u32 = 64;
const PER: u32 = 1;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let first = flat_index(group, groups, 0u, WG) * PER + local;
  for (var k = 0u; k < PER; k++) {
    let i = first + k * WG;
    if (i < N4) {
      y[i] = x[i];
    }
  }
}
