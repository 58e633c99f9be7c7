import type { Tensor } from './tensor.ts';

/** A tensor that is another one divided by a number on the GPU. */
export interface Scaled {
  readonly w: Tensor;
  /** [1] */
  readonly sigma: Tensor;
}

/** How tensors came about that need not be computed where their reader divides itself. */
const origins = new WeakMap<Tensor, Scaled>();

/**
 * Notes that y = w / sigma. A kernel that uses w and divides its sums by sigma saves a pass over the weight,
 * and what it keeps of w serves every sigma; when nobody reads y, its launch is dropped.
 */
export function noteScaled(y: Tensor, origin: Scaled): void {
  origins.set(y, origin);
}

/** The weight and the number it is to be divided by; null where it is what it is. */
export function unscaled(w: Tensor): { readonly w: Tensor; readonly sigma: Tensor | null } {
  return origins.get(w) ?? { w, sigma: null };
}
