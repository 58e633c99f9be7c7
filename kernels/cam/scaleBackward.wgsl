// All gradients of y[r,c] = x[r,c] wGap[c], y[r,C+c] = x[r,c] wGmp[c] in one pass over dy:
//   dx[r,c] = dy[r,c] wGap[c] + dy[r,C+c] wGmp[c],
//   dGap[s,c] = sum of dy[r,c] x[r,c] and dGmp[s,c] = sum of dy[r,C+c] x[r,c] over the rows s PER .. +PER.
// dy [R,2C], x and dx [R,C], wGap and wGmp [C], dGap and dGmp [SLICES,C]. C counts V: four channels each, or
// one (LANES). An invocation owns column c of one slice of rows.
// needs: flat LANES=vector
const R: u32 = 1;
const C: u32 = 1;
const PER: u32 = 1;
const SLICES: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> wGap: array<V>;
@group(0) @binding(3) var<storage, read> wGmp: array<V>;
@group(0) @binding(4) var<storage, read_write> dx: array<V>;
@group(0) @binding(5) var<storage, read_write> dGap: array<V>;
@group(0) @binding(6) var<storage, read_write> dGmp: array<V>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= SLICES * C) {
    return;
  }
  let c = i % C;
  let first = i / C * PER;
  let end = min(first + PER, R);
  let a = wGap[c];
  let b = wGmp[c];
  var da = V();
  var db = V();
  for (var r = first; r < end; r++) {
    let left = dy[r * 2 * C + c];
    let right = dy[r * 2 * C + C + c];
    let value = x[r * C + c];
    da += left * value;
    db += right * value;
    dx[r * C + c] = left * a + right * b;
  }
  dGap[i] = da;
  dGmp[i] = db;
}
