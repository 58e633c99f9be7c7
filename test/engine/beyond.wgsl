// Eight invocations read what four of them wrote, from `at` on: some beyond the end of the array. Kept within
// bounds, all find 77.
@group(0) @binding(0) var<storage, read> at: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

var<workgroup> few: array<u32, 4>;

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) local: u32) {
  if (local < 4) {
    few[local] = 77;
  }
  workgroupBarrier();
  y[local] = few[at[0] + local];
}
