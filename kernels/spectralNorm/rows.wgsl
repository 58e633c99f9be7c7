// Products with the rows of several matrices in one launch: s[o] = sum over m of w[o,m] t[m], the second half
// of a power iteration. Layers as in lib/spectralLayers.wgsl.
// A workgroup owns R rows of one layer. A lane sums every WG-th vec4 in registers; lanes are added in order.
// needs: spectralLayers
const R: u32 = 4;
const WG: u32 = 64;

@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> t: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> s: array<f32>;

var<workgroup> part: array<f32, R * WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var i = 0u;
  while (i + 1 < LAYERS && group.x >= layers[i + 1].blocks) {
    i++;
  }
  let l = layers[i];
  let first = (group.x - l.blocks) * R;
  var at: array<u32, R>;
  for (var r = 0u; r < R; r++) {
    at[r] = l.w + min(first + r, l.rows - 1) * l.quads;
  }
  var sum: array<vec4f, R>;
  for (var m = lane; m < l.quads; m += WG) {
    let x = t[l.v + m];
    for (var r = 0u; r < R; r++) {
      sum[r] = fma(w[at[r] + m], x, sum[r]);
    }
  }
  for (var r = 0u; r < R; r++) {
    part[r * WG + lane] = dot(sum[r], vec4f(1));
  }
  workgroupBarrier();
  for (var r = lane; r < R; r += WG) {
    if (first + r >= l.rows) {
      continue;
    }
    var total = 0.0;
    for (var j = 0u; j < WG; j++) {
      total += part[r * WG + j];
    }
    s[l.u + first + r] = total;
  }
}
