import { ShapeError } from '../errors.ts';
import { scalar } from '../record/constants.ts';
import { differentiable, intermediate, launch } from '../record/recorder.ts';
import { elements, show } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

const NAMES = ['A', 'B', 'C', 'D', 'E', 'F'] as const;

/** Weighted sum of up to six scalars: seven bindings, of the eight that every adapter has. */
function addScalars(terms: readonly Tensor[], weights: readonly number[]): Tensor {
  const y = intermediate([1], 'weightedSum');
  const named = Object.fromEntries(weights.map((weight, i) => [NAMES[i], weight]));
  launch({
    kernel: 'weightedSum/main',
    constants: { TERMS: terms.length, ...named },
    label: 'weightedSum',
    bind: [...NAMES.map((_, i) => terms[i] ?? terms[0]), y],
    grid: [1, 1, 1],
  });
  return y;
}

/** factor · s for a scalar s; without a launch where s is a known constant. */
export function scaleScalar(s: Tensor, factor: number): Tensor {
  if (s.constant !== null) return scalar(s.constant * factor);
  return factor === 1 ? s : weightedSum([s], [factor]);
}

/**
 * Σ weightᵢ·termᵢ over scalars of shape [1]: the total of several losses.
 * @throws ShapeError when a term is not one number.
 */
export function weightedSum(terms: readonly Tensor[], weights: readonly number[]): Tensor {
  for (const { shape } of terms) {
    if (elements(shape) !== 1) throw new ShapeError(`weightedSum: a term is ${show(shape)}, not one number`);
  }
  const most = NAMES.length;
  let y = addScalars(terms.slice(0, most), weights.slice(0, most));
  for (let i = most; i < terms.length; i += most - 1) {
    const end = i + most - 1;
    y = addScalars([y, ...terms.slice(i, end)], [1, ...weights.slice(i, end)]);
  }
  differentiable('weightedSum', terms, [y], ([dy]) => weights.map((w) => scaleScalar(dy!, w)), []);
  return y;
}
