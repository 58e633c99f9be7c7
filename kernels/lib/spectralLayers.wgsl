// The weights of a network under spectral norm, each a matrix w [rows, 4 quads], in one buffer: one launch
// serves them all. engine/ops/spectralNorm/batch.ts fills the table.
struct Layer {
  w: u32,        // first vec4 of the weight
  rows: u32,
  quads: u32,
  u: u32,        // first float of its u, and of a scratch vector of that size
  v: u32,        // first vec4 of its v, likewise
  keptU: u32,    // first float of what the calls leave of u, [calls, rows]
  keptV: u32,    // first vec4 of what they leave of v, [calls, quads]
  columns: u32,  // first workgroup of the products with columns
  blocks: u32,   // first workgroup of the products with rows
}

const LAYERS: u32 = 1;

@group(0) @binding(0) var<storage, read> layers: array<Layer, LAYERS>;
