import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';

/** What the gradient of a weight gets through its spectral norm: the sum over calls of dsigma u vᵀ. */
export interface SigmaGradient {
  readonly spectrum: Spectrum;
  /** [K] */
  readonly dsigma: Tensor;
}

/**
 * The bindings of the outer products: dsigma, u and v. WebGPU wants every binding filled; unused ones get
 * `instead`.
 */
export function sigmaBindings(outer: SigmaGradient | null, instead: Tensor): Tensor[] {
  return outer ? [outer.dsigma, outer.spectrum.u, outer.spectrum.v] : [instead, instead, instead];
}
