enable f16;
// Operands of tiles in workgroup memory in 16 bits, for mixed precision; sums stay in 32.
// SCALED: the left operand, a gradient whose small values 16 bits could not hold, is multiplied by the power
// of two scale[0] first and the result by scale[1], its inverse: kernels/halfScale/main.wgsl finds them.
// Other values beyond 65504 become infinite, which the training loop reports as soon as it reads a loss.
const SCALED: bool = false;
// engine/device/kernel.ts puts the kernel's next free binding in the place of 99.
@group(0) @binding(99) var<storage, read> scale: array<f32>;

alias Quad = vec4h;

fn left_operand(v: vec4f) -> Quad {
  return vec4h(select(v, v * scale[0], SCALED));
}

fn right_operand(v: vec4f) -> Quad {
  return vec4h(v);
}

fn result_of(sums: vec4f) -> vec4f {
  return select(sums, sums * scale[1], SCALED);
}
