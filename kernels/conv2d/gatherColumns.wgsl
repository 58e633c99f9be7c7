// The last step of a convolution with few result channels, whose taps were made columns of a product:
//   y[n,i,j,c] = f(bias[c] + sum_{fy,fx} z[n, s(i, fy), s(j, fx), (fy folds + fx) channels + c] / sigma)
// s(i, f) = i + f, or in a gradient (i - f) / stride where that is whole and inside. foldsY * foldsX taps.
// z [images, inH, inW, stride of 4], y [images, outH, outW, channels].
// One invocation owns all channels of one pixel. Grid: ceil(outW / WG), outH, images.
// needs: activate nan
struct Columns {
  inH: u32,
  inW: u32,
  pitch: u32,     // channels of z
  foldsY: u32,
  foldsX: u32,
  outW: u32,
  channels: u32,
  gradient: u32,
  stride: u32,
  calls: u32,     // divide by sigma[k] of this many calls, which share the images; 0: do not
  bias: u32,
  activation: u32,
  slope: f32,
}

const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> columns: Columns;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> sigma: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// Row or column of z that tap f adds to i, or -1. In a gradient i - f is a multiple of the stride.
fn source(i: u32, f: u32, size: u32) -> i32 {
  if (columns.gradient == 0) {
    return i32(i + f);
  }
  let at = (i - f) / columns.stride;
  return select(-1, i32(at), i >= f && at < size);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let g = columns;
  if (at.x >= g.outW) {
    return;
  }
  let step = max(g.stride, 1);
  let firstX = at.x % step;
  let firstY = at.y % step;
  for (var c = 0u; c < g.channels; c += 4) {
    let count = min(4, g.channels - c);
    var sum = vec4f(0);
    for (var fy = firstY; fy < g.foldsY; fy += step) {
      let sy = source(at.y, fy, g.inH);
      for (var fx = firstX; fx < g.foldsX; fx += step) {
        let sx = source(at.x, fx, g.inW);
        if (sy < 0 || sx < 0) {
          continue;
        }
        let pixel = (at.z * g.inH + u32(sy)) * g.inW + u32(sx);
        let start = pixel * g.pitch + (fy * g.foldsX + fx) * g.channels + c;
        for (var j = 0u; j < count; j++) {
          sum[j] += z[start + j];
        }
      }
    }
    if (g.calls > 0) {
      sum /= sigma[at.z * g.calls / groups.z];
    }
    let to = ((at.z * groups.y + at.y) * g.outW + at.x) * g.channels + c;
    if (g.bias == 1) {
      for (var j = 0u; j < count; j++) {
        sum[j] += bias[c + j];
      }
    }
    sum = activate(sum, g.activation, g.slope);
    for (var j = 0u; j < count; j++) {
      y[to + j] = sum[j];
    }
  }
}
