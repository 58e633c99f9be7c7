// What the transforms of the Winograd convolution share: the sizes of one layer, in a small buffer so that
// one compiled kernel serves all layers (their order is `transformSizes` in engine/ops/conv2d/winograd.ts),
// and the walk over tiles. A workgroup takes LANES items, each a tile (or an output channel) and four
// channels; for each item six invocations, of which each transforms a row and then a column, or the other
// way round: 36 vec4f are too many for the registers of one, and lavapipe compiles loads and stores of all
// of them three times as long. In between the values are in `kept`.
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

// a / b, exact for a below 2^22: lavapipe divides integers one lane at a time, six times as slowly.
fn quotient(a: u32, b: u32) -> u32 {
  return u32((f32(a) + 0.5) / f32(b));
}

var<workgroup> kept: array<vec4f, SIDE * SIDE * LANES>;

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

// An invocation's item and its line.
struct Task {
  item: u32, // tile or output channel
  quad: u32,
  line: u32,
  lane: u32,
}

fn task_of(group: vec3u, groups: vec3u, local: u32) -> Task {
  let index = flat_index(group, groups, local % LANES, LANES);
  let item = quotient(index, sizes.quads);
  return Task(item, index - item * sizes.quads, local / LANES, local % LANES);
}

// Index of value (i, j) of a tile among the matrices' vec4f.
fn element(tile: u32, i: u32, j: u32, quad: u32) -> u32 {
  let part = quotient(tile, sizes.rows);
  let layer = (i * SIDE + j) * sizes.parts + part;
  return (layer * sizes.rows + tile - part * sizes.rows) * sizes.quads + quad;
}

// Index of the first pixel of a tile's picture, and the tile's row and column in that picture.
fn position_of(tile: u32) -> vec3u {
  let row = quotient(tile, sizes.tiles_x); // of all pictures
  let picture = quotient(row, sizes.tiles_y);
  let first = picture * sizes.height * sizes.width;
  return vec3u(first, row - picture * sizes.tiles_y, tile - row * sizes.tiles_x);
}
