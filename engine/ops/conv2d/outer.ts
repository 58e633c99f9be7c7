import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';

/** What the gradient of a weight gets through its spectral norm: the sum over calls of dsigma u vᵀ. */
export interface Outer {
  readonly spectrum: Spectrum;
  /** [K] */
  readonly dsigma: Tensor;
}

/** What kernels bind for the outer products: dsigma, u and v, or thrice something they will not read. */
export function outerBindings(outer: Outer | null, instead: Tensor): Tensor[] {
  return outer ? [outer.dsigma, outer.spectrum.u, outer.spectrum.v] : [instead, instead, instead];
}
