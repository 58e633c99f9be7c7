// Weight transform of the Winograd convolution: U = G g Gᵀ. Lavin and Gray, arXiv 1509.09308.
// w [CO,3,3,C] -> U[6 i + j][CO][C]. One invocation per output channel and four input channels.
// Sizes: `rows` is CO and `parts` 1. With lines, sizes, and toTexture or toBuffer. WG: any.
// needs: flat
const WG: u32 = 64;

@group(0) @binding(1) var<storage, read> w: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let s = sizes;
  let at = flat_index(group, groups, local, WG);
  let quad = at % s.quads;
  let row = at / s.quads;
  if (row >= s.rows) {
    return;
  }
  var g: array<Line, 3>;
  for (var i = 0u; i < 3; i++) {
    let start = (row * 9 + i * 3) * s.quads + quad;
    g[i] = weight_line(Taps(w[start], w[start + s.quads], w[start + 2 * s.quads]));
  }
  for (var j = 0u; j < SIDE; j++) {
    let u = weight_line(Taps(g[0][j], g[1][j], g[2][j]));
    for (var i = 0u; i < SIDE; i++) {
      store(i * SIDE + j, row, quad, vec2u(s.rows, s.quads), u[i]);
    }
  }
}
