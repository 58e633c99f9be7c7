import { differentiable, grid1d, intermediate, launch } from '../recorder.ts';
import { elements, expectSame } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

const WG = 64;

/**
 * Elementwise sum of two tensors of one shape (residual connections, sums of gradients).
 * @throws ShapeError when the shapes differ.
 */
export function add(a: Tensor, b: Tensor): Tensor {
  expectSame('add', 'a', a.shape, 'b', b.shape);
  const y = intermediate(a.shape, 'add');
  const N4 = Math.ceil(elements(a.shape) / 4);
  launch({
    kernel: 'add/main',
    constants: { N4, WG },
    label: 'add',
    bind: [a, b, y],
    grid: grid1d(N4, WG),
  });
  differentiable('add', [a, b], [y], ([dy]) => [dy, dy]);
  return y;
}
