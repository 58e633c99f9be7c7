// Matrices written to a texture array: x = quad of channels, y = row.
@group(0) @binding(2) var result: texture_storage_2d_array<rgba32float, write>;

// `extent`: rows and quads of one layer.
fn store(layer: u32, row: u32, quad: u32, extent: vec2u, value: vec4f) {
  textureStore(result, vec2u(quad, row), layer, value);
}
