// Transposed weight transform of the Winograd convolution: dw = Gᵀ (sum over parts of dU) G.
// Lavin and Gray, arXiv 1509.09308. dU[(6 i + j) parts + part][CO][C] -> dw [CO,3,3,C]. One invocation per
// output channel and four input channels. Sizes: `rows` is CO.
// With lines, sizes, fromTexture or fromBuffer. WG: any.
// needs: flat
const WG: u32 = 64;

@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

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
  var u: array<Taps, SIDE>;
  for (var i = 0u; i < SIDE; i++) {
    var line = Line();
    for (var part = 0u; part < s.parts; part++) {
      for (var j = 0u; j < SIDE; j++) {
        line[j] += load((i * SIDE + j) * s.parts + part, row, quad, vec2u(s.rows, s.quads));
      }
    }
    u[i] = weight_back(line);
  }
  for (var j = 0u; j < 3; j++) {
    let g = weight_back(Line(u[0][j], u[1][j], u[2][j], u[3][j], u[4][j], u[5][j]));
    for (var i = 0u; i < 3; i++) {
      dw[((row * 3 + i) * 3 + j) * s.quads + quad] = g[i];
    }
  }
}
