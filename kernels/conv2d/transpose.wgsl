// A small matrix transposed: y[j,i] = x[i,j], x [ROWS,COLUMNS], y [COLUMNS,ROWS]. One invocation owns one
// element of y.
// needs: flat
const ROWS: u32 = 1;
const COLUMNS: u32 = 1;
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
  if (i < ROWS * COLUMNS) {
    y[i] = x[i % ROWS * COLUMNS + i / ROWS];
  }
}
