import type { Tensor } from '../../record/tensor.ts';

/** The learnt tensors of ILN and AdaILN. */
export interface ParametersOf {
  readonly rho: Tensor;
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

/** One call of a norm. Without parameters it is the instance norm, else rho, gamma and beta are there. */
export interface NormCall {
  readonly kind: 'instance' | 'iln' | 'adailn';
  readonly x: Tensor;
  readonly rho: Tensor | null;
  readonly gamma: Tensor | null;
  readonly beta: Tensor | null;
  readonly relu: boolean;
  readonly residual: Tensor | null;
}
