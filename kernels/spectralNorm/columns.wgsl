// Products with the columns of several matrices in one launch: t[m] = sum over o of u[o] w[o,m], the first
// half of a power iteration. Layers as in lib/spectralLayers.wgsl.
// A lane owns J vec4s of columns, WG apart, over PER rows: the workgroups of a layer are tiles of columns,
// and slices of rows. With several slices t is [SLICES, QUADS] vec4s, which `join` adds up in order: an
// invocation per vec4 of the QUADS of all layers. Gaps between layers hold junk.
// needs: flat spectralLayers
const J: u32 = 1;
const PER: u32 = 1;
const QUADS: u32 = 1;
const WG: u32 = 64;

@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read_write> t: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var i = 0u;
  while (i + 1 < LAYERS && group.x >= layers[i + 1].columns) {
    i++;
  }
  let l = layers[i];
  let tiles = (l.quads + WG * J - 1) / (WG * J);
  let slice = (group.x - l.columns) / tiles;
  let first = (group.x - l.columns) % tiles * WG * J + lane;
  if (first >= l.quads) {
    return;
  }
  let start = slice * PER;
  var at: array<u32, J>;
  for (var j = 0u; j < J; j++) {
    at[j] = l.w + start * l.quads + min(first + j * WG, l.quads - 1);
  }
  var sum: array<vec4f, J>;
  let end = min(start + PER, l.rows);
  for (var o = start; o < end; o++) {
    let g = vec4f(u[l.u + o]);
    for (var j = 0u; j < J; j++) {
      sum[j] = fma(g, w[at[j]], sum[j]);
      at[j] += l.quads;
    }
  }
  for (var j = 0u; j < J; j++) {
    let m = first + j * WG;
    if (m < l.quads) {
      t[slice * QUADS + l.v + m] = sum[j];
    }
  }
}

// Binds w = the slices.
@compute @workgroup_size(WG)
fn join(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let m = flat_index(group, groups, local, WG);
  for (var i = 0u; i < LAYERS; i++) {
    let l = layers[i];
    if (m >= l.v && m < l.v + l.quads) {
      var sum = vec4f(0);
      for (var s = 0u; s < (l.rows + PER - 1) / PER; s++) {
        sum += w[s * QUADS + m];
      }
      t[m] = sum;
    }
  }
}
