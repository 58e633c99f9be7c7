// Cost of a launch: nothing is computed; COUNT is larger than any index, so nothing is written either.
const COUNT: u32 = 1000000;

@group(0) @binding(0) var<storage, read_write> o: array<f32>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x > COUNT) {
    o[0] = 1.0;
  }
}
