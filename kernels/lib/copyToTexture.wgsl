// y[z][row][x] = x[(z * HEIGHT + row) * WIDTH + x]: a buffer into a texture array, where its rows are too
// narrow for the queue's own copy. One invocation per texel. WIDTH, HEIGHT: any.
const WIDTH: u32 = 1;
const HEIGHT: u32 = 1;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var y: texture_storage_2d_array<rgba32float, write>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
  if (at.x < WIDTH && at.y < HEIGHT) {
    textureStore(y, at.xy, at.z, x[(at.z * HEIGHT + at.y) * WIDTH + at.x]);
  }
}
