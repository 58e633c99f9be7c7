// Gradients of the pooled features behind camLogits/forward: dgap[n,c] = dy[n,0] wGap[c] / sigmaGap[k],
// dgmp[n,c] = dy[n,1] wGmp[c] / sigmaGmp[k], k = floor(n CALLS / N). Without SPECTRAL nothing is divided.
// dy [N,2], wGap, wGmp [C], sigmas [CALLS], dgap, dgmp [N,C]. Any N and C.
// One invocation per element of dgap.
// needs: flat
const N: u32 = 1;
const C: u32 = 1;
const CALLS: u32 = 1;
const SPECTRAL: bool = false;
const WG: u32 = 64;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> wGap: array<f32>;
@group(0) @binding(2) var<storage, read> wGmp: array<f32>;
@group(0) @binding(3) var<storage, read> sigmaGap: array<f32>;
@group(0) @binding(4) var<storage, read> sigmaGmp: array<f32>;
@group(0) @binding(5) var<storage, read_write> dgap: array<f32>;
@group(0) @binding(6) var<storage, read_write> dgmp: array<f32>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(group, groups, local, WG);
  if (i >= N * C) {
    return;
  }
  let n = i / C;
  let c = i % C;
  var a = dy[n * 2];
  var b = dy[n * 2 + 1];
  if (SPECTRAL) {
    let k = n * CALLS / N;
    a /= sigmaGap[k];
    b /= sigmaGmp[k];
  }
  dgap[i] = a * wGap[c];
  dgmp[i] = b * wGmp[c];
}
