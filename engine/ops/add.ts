import { differentiable, grid1d, intermediate, launch } from '../record/recorder.ts';
import { elements, expectSame } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

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
  differentiable('add', [a, b], [y], ([dy]) => [dy, dy], []);
  return y;
}

/**
 * y += x in place, for a y that lives on: gradients that come in pieces. No node of the autograd.
 * @throws ShapeError when the shapes differ.
 */
export function addInto(y: Tensor, x: Tensor): void {
  expectSame('addInto', 'y', y.shape, 'x', x.shape);
  const N4 = Math.ceil(elements(y.shape) / 4);
  launch({
    kernel: 'add/into',
    constants: { N4, WG },
    label: 'add.into',
    bind: [x, y],
    grid: grid1d(N4, WG),
  });
}
