import { ShapeError } from '../errors.ts';

/** Sizes of a tensor, outermost first. Pictures and feature maps are [N, H, W, C]. */
export type Shape = readonly number[];

/** Number of elements; 1 for a scalar []. */
export function elements(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** `[1,256,256,3]`, as used in error messages and tables. */
export function show(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** Throws a ShapeError that names the op when two shapes differ. */
export function expectSame(op: string, aName: string, a: Shape, bName: string, b: Shape): void {
  if (!sameShape(a, b)) {
    throw new ShapeError(`${op}: ${aName} ${show(a)} and ${bName} ${show(b)} must have the same shape`);
  }
}

/** Throws unless the tensor has `rank` dimensions, all of them positive integers. */
export function expectRank(op: string, name: string, shape: Shape, rank: number): void {
  if (shape.length !== rank || shape.some((d) => !Number.isInteger(d) || d < 1)) {
    throw new ShapeError(`${op}: ${name} must have ${rank} dimensions of at least 1, found ${show(shape)}`);
  }
}
