/** Strided views copied into C order. Shapes are in elements, strides and offsets too. */
import type { TensorData } from '../hostTensor.ts';

/** Whether the view's elements already lie in C order, one after the other. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i];
  }
  return true;
}

/** The elements of the view of `x` that starts at its first element, in C order. */
export function gather<T extends TensorData>(
  x: T,
  shape: readonly number[],
  strides: readonly number[],
): TensorData {
  const count = shape.reduce((product, n) => product * n, 1);
  const y = new (x.constructor as new (length: number) => TensorData)(count);
  const inner = shape.at(-1) ?? 1;
  const step = strides.at(-1) ?? 0;
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let i = 0; i < count; i += inner) {
    for (let j = 0; j < inner; j++) y[i + j] = x[from + j * step];
    from = advance(index, from, shape, strides);
  }
  return y;
}

/** Steps `index` to the next row (all dimensions but the last) and returns where that row starts. */
function advance(
  index: number[],
  from: number,
  shape: readonly number[],
  strides: readonly number[],
): number {
  for (let d = shape.length - 2; d >= 0; d--) {
    from += strides[d];
    if (++index[d] < shape[d]) break;
    from -= strides[d] * shape[d];
    index[d] = 0;
  }
  return from;
}
