// How the rows of a gathered matrix product map to pixels, so that one compiled kernel serves every layer.
// engine/ops/conv2d/geometry.ts fills it; FIELDS there is this list.
struct Geometry {
  images: u32,
  gridH: u32,       // output positions of one class
  gridW: u32,
  classes: u32,     // classes per side
  outStride: u32,   // position (i, j) of class (cy, cx) is output (i outStride + cy, j outStride + cx)
  outH: u32,
  outW: u32,
  outQuads: u32,    // output channels / 4
  inQuads: u32,     // input channels / 4
  inStride: u32,    // reads padded input (i inStride + ty + cy classStep, j inStride + tx + cx classStep)
  classStep: u32,
  tapsY: u32,
  tapsX: u32,
  whole: u32,       // classes from this one on have no first tap
  layerStart: i32,  // tap t of class c is kernel row layerStart + c layerClass + t layerTap, columns alike
  layerClass: i32,
  layerTap: i32,
  side: u32,        // layers of the kernel in a row: layer = row * side + column
  offsetY: u32,     // row and column of the texture where the gathered picture (gatherWeights: dy) begins
  offsetX: u32,
  splits: u32,      // weight gradient: parts of the sum over rows of the grid
  splitRows: u32,   // rows of the grid per part
  calls: u32,       // divide by sigma[k] of this many calls, which share the images; 0: do not
  bias: u32,        // 1: add bias
  activation: u32,  // 0 none, 1 LeakyReLU, 2 ReLU, 3 tanh
  slope: f32,
}
