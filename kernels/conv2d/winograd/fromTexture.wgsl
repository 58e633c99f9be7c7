// Matrices read from a texture array: x = quad of channels, y = row.
@group(0) @binding(1) var source: texture_storage_2d_array<rgba32float, read>;

// `extent`: rows and quads of one layer.
fn load(layer: u32, row: u32, quad: u32, extent: vec2u) -> vec4f {
  return textureLoad(source, vec2u(quad, row), layer);
}
