// Output transform of the Winograd convolution: y = f(Aᵀ M A + b). Lavin and Gray, arXiv 1509.09308.
// M[6 i + j][tile][C] -> y [N,H,W,C]. One invocation per tile of 4x4 pixels and four channels; the last tiles
// of a row or column are cropped. ACT: 0 none, 1 LeakyReLU(SLOPE), 2 ReLU, 3 tanh.
// With lines, sizes, and fromTexture or fromBuffer. WG: any.
// needs: flat activate
// static: BIAS ACT
const BIAS: bool = false;
const ACT: u32 = 0;
const SLOPE: f32 = 0.2;
const WG: u32 = 64;

@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let s = sizes;
  let at = flat_index(group, groups, local, WG);
  let quad = at % s.quads;
  let tile = at / s.quads;
  if (tile >= s.tiles) {
    return;
  }
  let place = place_of(tile);
  var m: array<Outputs, SIDE>;
  for (var i = 0u; i < SIDE; i++) {
    var line: Line;
    for (var j = 0u; j < SIDE; j++) {
      line[j] = load(place.first + (i * SIDE + j) * place.step, place.row, quad, vec2u(s.rows, s.quads));
    }
    m[i] = output_line(line);
  }
  let position = position_of(tile);
  let added = select(vec4f(0), bias[quad], BIAS);
  for (var j = 0u; j < TILE; j++) {
    let column = position.z * TILE + j;
    let v = output_line(Line(m[0][j], m[1][j], m[2][j], m[3][j], m[4][j], m[5][j]));
    for (var i = 0u; i < TILE; i++) {
      let row = position.y * TILE + i;
      if (row < s.height && column < s.width) {
        y[(position.x + row * s.width + column) * s.quads + quad] = activate(v[i] + added, ACT, SLOPE);
      }
    }
  }
}
