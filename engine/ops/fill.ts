import { scalar } from '../record/constants.ts';
import { grid1d, intermediate, launch } from '../record/recorder.ts';
import { elements, type Shape } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

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
