// Adjoint of padding and upsampling: dx[n,y,x,c] = sum of dp over the padded positions that show (y, x).
// dp [images, paddedH, paddedW, stride] with stride >= channels, dx [images,height,width,channels].
// One invocation owns all channels of one pixel; sums run in a fixed order.
// Grid: ceil(width / WG), height, images.
struct Folding {
  height: u32,
  width: u32,
  channels: u32,
  up: u32,
  before: i32,  // padding on every side, in upsampled pixels
  mode: u32,    // padding: 0 reflection, 1 the edge again (before = 1)
  stride: u32,
}

const WG: u32 = 8;

@group(0) @binding(0) var<storage, read> folding: Folding;
@group(0) @binding(1) var<storage, read> dp: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// The i-th padded position that shows pixel u of a side of `size`, or -1: itself, then its images.
fn shown(u: i32, i: u32, size: i32, before: i32, mode: u32) -> i32 {
  if (i == 0) {
    return u + before;
  }
  if (mode == 1) {
    let start = select(-1, 0, i == 1 && u == 0);
    return select(start, size + 1, i == 2 && u == size - 1);
  }
  if (i == 1) {
    return select(-1, before - u, u >= 1 && u <= before);
  }
  return select(-1, before + 2 * (size - 1) - u, u <= size - 2 && u >= size - 1 - before);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let f = folding;
  if (at.x >= f.width) {
    return;
  }
  let paddedH = f.height * f.up + 2 * u32(f.before);
  let paddedW = f.width * f.up + 2 * u32(f.before);
  let to = ((at.z * f.height + at.y) * f.width + at.x) * f.channels;
  let images = select(1u, 3u, f.before > 0);
  let side = images * f.up;
  for (var i = 0u; i < side * side; i++) {
    let uy = i32(at.y * f.up + i / side / images);
    let ux = i32(at.x * f.up + i % side / images);
    let py = shown(uy, i / side % images, i32(f.height * f.up), f.before, f.mode);
    let px = shown(ux, i % side % images, i32(f.width * f.up), f.before, f.mode);
    if (py < 0 || px < 0) {
      continue;
    }
    let start = ((at.z * paddedH + u32(py)) * paddedW + u32(px)) * f.stride;
    for (var c = 0u; c < f.channels; c++) {
      var sum = dp[start + c];
      if (i > 0) {
        sum += dx[to + c];
      }
      dx[to + c] = sum;
    }
  }
}
