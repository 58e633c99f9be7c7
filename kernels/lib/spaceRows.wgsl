// y[z][row][x] = x[(z * HEIGHT + row) * WIDTH + x]: rows further apart, where they are too narrow for the
// queue to copy. y [layers, HEIGHT, ROW_STEP]. One invocation per vec4f. WIDTH <= ROW_STEP, HEIGHT: any.
const WIDTH: u32 = 1;
const HEIGHT: u32 = 1;
const ROW_STEP: u32 = 1;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
  if (at.x < WIDTH && at.y < HEIGHT) {
    let row = at.z * HEIGHT + at.y;
    y[row * ROW_STEP + at.x] = x[row * WIDTH + at.x];
  }
}
