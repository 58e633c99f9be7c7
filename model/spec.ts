import type { Shape } from '../engine/index.ts';

/** How a tensor is laid out, here and in the authors' files. */
export type Layout =
  | 'plain' // the same elements in the same order
  | 'conv' // [CO,K,K,CI] here, [CO,CI,K,K] there
  | 'convVector' // spectral norm's v: [K,K,CI] here, [CI,K,K] there
  | 'mapLinear'; // columns are a flattened map: [O,H,W,C] here, [O,C,H,W] there

/** One tensor of a network: a parameter, or one of spectral norm's vectors. */
export interface ParameterSpec {
  /** The authors' state_dict name. */
  readonly name: string;
  /** Shape here. */
  readonly shape: Shape;
  /** Shape in the authors' state_dict. */
  readonly authorsShape: Shape;
  readonly layout: Layout;
  /** 'uniform': U(-bound, bound); 'constant': value; 'unit': normal, scaled to length 1. */
  readonly init: { readonly kind: 'uniform' | 'constant' | 'unit'; readonly value: number };
  /** Parameters and rhos are trained; u and v are the vectors of spectral norm. */
  readonly role: 'parameter' | 'rho' | 'u' | 'v';
  /** Rows per block where one binding may not hold the whole tensor. */
  readonly blocks?: readonly number[];
}
