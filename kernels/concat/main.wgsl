// Copies `COUNT` channels of every row: y[r, TO + c] = x[r, FROM + c], for r < ROWS and c < COUNT.
// Rows are X_WIDTH (x) and Y_WIDTH (y) floats apart. Concatenation is one such copy per part, a slice is one;
// each is the other's gradient. Each invocation owns one float of y.
// needs: flat
const ROWS: u32 = 1;
const COUNT: u32 = 1;
const X_WIDTH: u32 = 1;
const Y_WIDTH: u32 = 1;
const FROM: u32 = 0;
const TO: u32 = 0;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= ROWS * COUNT) {
    return;
  }
  let r = i / COUNT;
  let c = i % COUNT;
  y[r * Y_WIDTH + TO + c] = x[r * X_WIDTH + FROM + c];
}
