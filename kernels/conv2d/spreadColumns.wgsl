// A picture of few channels with its taps as channels, for the weight gradient of a layer with few outputs:
//   y[n, i, j, (fy foldsX + fx) channels + c] = x[n, i - fy, j - fx, c], zero outside of x and of the taps
// x [images, height, width, channels]; y [images, rows, rowStep] vec4f, pixel (i, j) at row i, j * quads. The
// queue copies it into a texture.
// One invocation owns all quads of one pixel. Grid: ceil(columns / WG), rows of y, images.
struct Spread {
  height: u32,
  width: u32,
  channels: u32,
  foldsY: u32,
  foldsX: u32,
  quads: u32,
  columns: u32,
  rowStep: u32,
}

const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> spread: Spread;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let s = spread;
  if (at.x >= s.columns) {
    return;
  }
  var fy = 0u;
  var fx = 0u;
  var c = 0u;
  for (var q = 0u; q < s.quads; q++) {
    var v = vec4f(0);
    for (var i = 0u; i < 4; i++) {
      // Differences below zero wrap to large numbers.
      let sy = at.y - fy;
      let sx = at.x - fx;
      if (fy < s.foldsY && sy < s.height && sx < s.width) {
        v[i] = x[((at.z * s.height + sy) * s.width + sx) * s.channels + c];
      }
      c++;
      fx += u32(c == s.channels);
      c = select(c, 0, c == s.channels);
      fy += u32(fx == s.foldsX);
      fx = select(fx, 0, fx == s.foldsX);
    }
    y[(at.z * groups.y + at.y) * s.rowStep + at.x * s.quads + q] = v;
  }
}
