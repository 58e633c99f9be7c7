// Operands of tiles in workgroup memory as they are. In mixed precision lib/operandsHalf.wgsl stands here.
alias Quad = vec4f;

fn left_operand(v: vec4f) -> Quad {
  return v;
}

fn right_operand(v: vec4f) -> Quad {
  return v;
}

fn result_of(sums: vec4f) -> vec4f {
  return sums;
}
