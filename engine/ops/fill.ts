import { grid1d, intermediate, launch } from '../recorder.ts';
import { scalar } from '../scalar.ts';
import { elements, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

const WG = 64;

/** A tensor of `shape` with the scalar s in every element. Not differentiable. */
export function fill(shape: Shape, s: Tensor): Tensor {
  const y = intermediate(shape, 'fill');
  const N4 = Math.ceil(elements(shape) / 4);
  launch({
    kernel: 'fill/main',
    constants: { N4, WG },
    label: 'fill',
    bind: [s, y],
    grid: grid1d(N4, WG),
  });
  return y;
}

/** A tensor of zeros. */
export function zeros(shape: Shape): Tensor {
  return fill(shape, scalar(0));
}
