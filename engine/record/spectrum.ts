import type { Tensor } from './tensor.ts';

/**
 * What spectral norm found of a weight w seen as a matrix [O,M]: the results of K power iterations, one after
 * the other. A layer whose weight has a spectrum uses w / sigma[k] for the samples of call k: of N samples,
 * sample n belongs to call floor(n K / N). u and v are constants to the autograd, sigma[k] = u[k]ᵀ w v[k].
 */
export interface Spectrum {
  /** K. */
  readonly calls: number;
  /** [K] */
  readonly sigma: Tensor;
  /** [K,O] */
  readonly u: Tensor;
  /** [K,M] */
  readonly v: Tensor;
}

/** A weight under spectral norm, with its persistent vectors. */
export interface SpectralLayer {
  /** [O,...] */
  readonly w: Tensor;
  /** [O] */
  readonly u: Tensor;
  /** [rest] */
  readonly v: Tensor;
}

/** Whether a call of a layer advances its power iteration (training mode), and how many calls there are. */
export interface Updates {
  readonly calls: number;
  readonly update: boolean;
}
