// Sizes of one layer, in a small buffer so that one compiled kernel serves them all (the order is that of
// `transformSizes` in engine/ops/conv2d/winograd.ts), and where its tiles are.
struct Sizes {
  height: u32,
  width: u32,
  tiles_y: u32,
  tiles_x: u32,
  tiles: u32,  // of all pictures
  rows: u32,   // tiles per part, a multiple of 4: layer (i, j, part) has a row per tile, zero where none is left
  parts: u32,
  quads: u32,  // channels / 4
}

@group(0) @binding(0) var<storage, read> sizes: Sizes;

// Where the values of a tile go or come from: element (i, j) of it is in layer first + (6 i + j) step.
struct Place {
  row: u32,
  first: u32,
  step: u32,
}

fn place_of(tile: u32) -> Place {
  return Place(tile % sizes.rows, tile / sizes.rows, sizes.parts);
}

// Index of the first pixel of a tile's picture, and the tile's row and column in that picture.
fn position_of(tile: u32) -> vec3u {
  let per = sizes.tiles_y * sizes.tiles_x;
  return vec3u(tile / per * sizes.height * sizes.width, tile % per / sizes.tiles_x, tile % sizes.tiles_x);
}
