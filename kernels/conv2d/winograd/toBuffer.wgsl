// Matrices written to a buffer, one behind the other.
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;

// `extent`: rows and quads of one layer.
fn store(layer: u32, row: u32, quad: u32, extent: vec2u, value: vec4f) {
  result[(layer * extent.x + row) * extent.y + quad] = value;
}
