import { ShapeError } from '../errors.ts';
import { differentiable, intermediate, launch } from '../recorder.ts';
import { scalar } from '../scalar.ts';
import { elements, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

function addScalars(a: Tensor, A: number, b: Tensor, B: number): Tensor {
  const y = intermediate([1], 'weightedSum');
  launch({
    kernel: 'weightedSum/main',
    constants: { A, B },
    label: 'weightedSum',
    bind: [a, b, y],
    grid: [1, 1, 1],
  });
  return y;
}

/** factor · s for a scalar s; without a launch where s is a known constant. */
export function scaleScalar(s: Tensor, factor: number): Tensor {
  if (s.constant !== null) return scalar(s.constant * factor);
  return factor === 1 ? s : addScalars(s, factor, scalar(0), 0);
}

/**
 * Σ weightᵢ·termᵢ over scalars of shape [1]: the total of several losses.
 * @throws ShapeError when a term is not one number.
 */
export function weightedSum(terms: readonly Tensor[], weights: readonly number[]): Tensor {
  for (const { shape } of terms) {
    if (elements(shape) !== 1) throw new ShapeError(`weightedSum: a term is ${show(shape)}, not one number`);
  }
  let total = terms[0];
  let weight = weights[0];
  for (let i = 1; i < terms.length; i++) {
    total = addScalars(total, weight, terms[i], weights[i]);
    weight = 1;
  }
  const y = terms.length === 1 ? addScalars(total, weight, scalar(0), 0) : total;
  differentiable('weightedSum', terms, [y], ([dy]) => weights.map((w) => scaleScalar(dy!, w)));
  return y;
}
