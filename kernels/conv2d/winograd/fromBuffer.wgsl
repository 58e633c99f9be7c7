// Matrices read from a buffer, one behind the other.
@group(0) @binding(1) var<storage, read> source: array<vec4f>;

// `extent`: rows and quads of one layer.
fn load(layer: u32, row: u32, quad: u32, extent: vec2u) -> vec4f {
  return source[(layer * extent.x + row) * extent.y + quad];
}
