// What the transforms of the Winograd convolution share: the sizes of one layer, in a small buffer so that
// one compiled kernel serves all layers (their order is `transformSizes` in engine/ops/conv2d/winograd.ts),
// and the walk over tiles. A workgroup takes LANES items, each a tile (or an output channel) and four
// channels. LINES invocations, a divisor of 6, share an item: each transforms every LINES-th row and then
// column, or the other way round; in between the values are in `kept`. No invocation holds all 36 values in
// registers: lavapipe makes some hundred instructions of one load, and 36 in a row take twice as long as a
// loop of 36.
struct Sizes {
  height: u32,
  width: u32,
  tiles_y: u32,
  tiles_x: u32,
  tiles: u32, // of all pictures
  rows: u32,  // tiles in a part, a multiple of 4: the last part is filled up with zeros
  parts: u32, // element (i, j) of a tile is in layer (6 i + j) parts + part
  quads: u32, // channels / 4
}

@group(0) @binding(0) var<storage, read> sizes: Sizes;

const LANES: u32 = 16;
const LINES: u32 = 6;
// SIDE, the taps of a line and TILE once more, for loops that processors shall not unroll: there LINE_COUNT
// is read from the launch's uniform block (engine/device/launchSizes.ts).
const LINE_COUNT: u32 = 6;
const TAP_COUNT: u32 = LINE_COUNT / 2;
const PIXEL_COUNT: u32 = LINE_COUNT - 2;

struct Item {
  tile: u32, // or output channel
  quad: u32,
}

fn item_of(index: u32) -> Item {
  let tile = quotient(index, sizes.quads);
  return Item(tile, index - tile * sizes.quads);
}

// Vec4f from one value of a tile to the next in its layers: parts follow each other.
fn layer_step() -> u32 {
  return sizes.parts * sizes.rows * sizes.quads;
}

// Index of value (0, 0) of a tile among the matrices' vec4f; (i, j) is 6 i + j layers behind.
fn first_value(tile: u32, quad: u32) -> u32 {
  return tile * sizes.quads + quad;
}

// Index of the first pixel of a tile's picture, and the tile's row and column in that picture.
fn position_of(tile: u32) -> vec3u {
  let row = quotient(tile, sizes.tiles_x); // of all pictures
  let picture = quotient(row, sizes.tiles_y);
  let first = picture * sizes.height * sizes.width;
  return vec3u(first, row - picture * sizes.tiles_y, tile - row * sizes.tiles_x);
}

var<workgroup> kept: array<vec4f, SIDE * SIDE * LANES>;

// Waits for the others that share an item.
fn lines_done() {
  if (LINES > 1) {
    workgroupBarrier();
  }
}

// Where value (i, j) of a lane's item is kept.
fn at(i: u32, j: u32, lane: u32) -> u32 {
  return (i * SIDE + j) * LANES + lane;
}

fn kept_row(i: u32, lane: u32) -> Line {
  return Line(
    kept[at(i, 0, lane)],
    kept[at(i, 1, lane)],
    kept[at(i, 2, lane)],
    kept[at(i, 3, lane)],
    kept[at(i, 4, lane)],
    kept[at(i, 5, lane)],
  );
}

fn kept_column(j: u32, lane: u32) -> Line {
  return Line(
    kept[at(0, j, lane)],
    kept[at(1, j, lane)],
    kept[at(2, j, lane)],
    kept[at(3, j, lane)],
    kept[at(4, j, lane)],
    kept[at(5, j, lane)],
  );
}
