import { ShapeError } from '../errors.ts';
import { type Backward, differentiable, grid1d, intermediate, launch } from '../record/recorder.ts';
import { elements, expectSame, type Shape, sameShape, show } from '../record/shape.ts';
import { ALIGNMENT, type Tensor, windowOf } from '../record/tensor.ts';
import { zeros } from './fill.ts';

const WG = 64;

interface Copy {
  rows: number;
  count: number;
  xWidth: number;
  yWidth: number;
  from: number;
  to: number;
}

function copy(x: Tensor, y: Tensor, c: Copy, label: string): void {
  launch({
    kernel: 'concat/main',
    constants: {
      ROWS: c.rows,
      COUNT: c.count,
      X_WIDTH: c.xWidth,
      Y_WIDTH: c.yWidth,
      FROM: c.from,
      TO: c.to,
      WG,
    },
    label,
    bind: [x, y],
    grid: grid1d(c.rows * c.count, WG),
  });
}

/**
 * y = x in place, for a y that lives on. No node of the autograd.
 * @throws ShapeError when the shapes differ.
 */
export function copyInto(y: Tensor, x: Tensor): void {
  expectSame('copyInto', 'y', y.shape, 'x', x.shape);
  const count = elements(x.shape);
  copy(x, y, { rows: 1, count, xWidth: count, yWidth: count, from: 0, to: 0 }, 'concat.copyInto');
}

/** Floats from one index of `axis` to the next, and number of such rows. */
function rowsOf(shape: Shape, axis: number): { rows: number; inner: number } {
  return { rows: elements(shape.slice(0, axis)), inner: elements(shape.slice(axis + 1)) };
}

/**
 * Joins tensors along `axis` (channels: the last one; batch: 0).
 * @throws ShapeError when the other sizes differ.
 */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const first = parts[0].shape;
  for (const { shape } of parts) {
    const fits = sameShape(shape.toSpliced(axis, 1), first.toSpliced(axis, 1));
    if (!fits) throw new ShapeError(`concat: ${show(shape)} does not join ${show(first)} along axis ${axis}`);
  }
  const size = parts.reduce((sum, p) => sum + p.shape[axis], 0);
  const y = intermediate(first.toSpliced(axis, 1, size), 'concat');
  const { rows, inner } = rowsOf(y.shape, axis);
  let to = 0;
  const starts: number[] = [];
  for (const part of parts) {
    const count = part.shape[axis] * inner;
    copy(part, y, { rows, count, xWidth: count, yWidth: size * inner, from: 0, to }, 'concat');
    starts.push(to / inner);
    to += count;
  }
  const backward: Backward = ([dy], need) =>
    parts.map((part, i) => (need[i] ? slice(dy!, axis, starts[i], part.shape[axis]) : null));
  differentiable('concat', parts, [y], backward, []);
  return y;
}

/**
 * `count` indices of `axis` from `start` on, as a new tensor.
 * @throws ShapeError when the range leaves the tensor.
 */
export function slice(x: Tensor, axis: number, start: number, count: number): Tensor {
  if (start < 0 || count < 1 || start + count > x.shape[axis]) {
    throw new ShapeError(`slice: [${start}, ${start + count}) is outside axis ${axis} of ${show(x.shape)}`);
  }
  const y = slicePart(x, axis, start, count);
  differentiable('slice', [x], [y], ([dy]) => [unslice(dy!, x.shape, axis, start)], []);
  return y;
}

function slicePart(x: Tensor, axis: number, start: number, count: number): Tensor {
  const shape = x.shape.toSpliced(axis, 1, count);
  const { rows, inner } = rowsOf(x.shape, axis);
  // Neighbours in memory, where a binding may begin: shown, not copied.
  if (rows === 1 && (start * inner * 4) % ALIGNMENT === 0) return windowOf(x, start * inner, shape);
  const y = intermediate(shape, 'slice');
  const width = x.shape[axis] * inner;
  copy(
    x,
    y,
    { rows, count: count * inner, xWidth: width, yWidth: count * inner, from: start * inner, to: 0 },
    'concat.slice',
  );
  return y;
}

/**
 * Cuts x along `axis` into parts of the given sizes: concat's inverse.
 * @throws ShapeError when the sizes do not add up.
 */
export function split(x: Tensor, axis: number, sizes: readonly number[]): Tensor[] {
  if (sizes.reduce((sum, n) => sum + n, 0) !== x.shape[axis]) {
    throw new ShapeError(`split: [${sizes}] does not add up to axis ${axis} of ${show(x.shape)}`);
  }
  let start = 0;
  const parts = sizes.map((count) => {
    const part = slicePart(x, axis, start, count);
    start += count;
    return part;
  });
  const whole = (dy: readonly (Tensor | null)[]) => dy.map((g, i) => g ?? zeros(parts[i].shape));
  differentiable('split', [x], parts, (dy) => [concat(whole(dy), axis)], []);
  return parts;
}

/** The gradient of a slice: dy at its place, zeros elsewhere, built from the parts around it. */
function unslice(dy: Tensor, shape: Shape, axis: number, start: number): Tensor {
  const count = dy.shape[axis];
  const after = shape[axis] - start - count;
  const parts: Tensor[] = [];
  if (start > 0) parts.push(zeros(shape.toSpliced(axis, 1, start)));
  parts.push(dy);
  if (after > 0) parts.push(zeros(shape.toSpliced(axis, 1, after)));
  return parts.length === 1 ? dy : concat(parts, axis);
}
