import { ShapeError } from '../../errors.ts';
import { expectRank, type Shape, show } from '../../record/shape.ts';
import type { Spectrum } from '../../record/spectrum.ts';

export interface ConvOptions {
  /** Step between output pixels. Default 1. */
  readonly stride?: number;
  /** Reflection padding on every side, in pixels of the (upsampled) input. Default 0. */
  readonly pad?: number;
  /** Nearest-neighbour upsampling of the input before padding, folded into the indexing: 1 or 2. */
  readonly upsample?: 1 | 2;
  /** Fused into the store. */
  readonly activation?: 'none' | 'leaky_relu' | 'relu' | 'tanh';
  /** Slope of leaky_relu below 0. Default 0.2. */
  readonly slope?: number;
  /** The weight is under spectral norm: sample by sample, w / sigma of its call takes its place. */
  readonly spectrum?: Spectrum;
}

/** Sizes of one convolution, as the kernels' constants name them. */
export interface ConvSizes {
  readonly N: number;
  readonly H: number;
  readonly W: number;
  readonly CI: number;
  readonly CO: number;
  readonly OH: number;
  readonly OW: number;
  readonly K: number;
  readonly S: number;
  readonly P: number;
  readonly UP: number;
}

/** Checks shapes and derives the output size. @throws ShapeError that says what does not fit. */
export function convSizes(x: Shape, w: Shape, b: Shape | null, options: ConvOptions): ConvSizes {
  expectRank('conv2d', 'x', x, 4);
  expectRank('conv2d', 'w', w, 4);
  const [N, H, W, CI] = x;
  const [CO, K, K2, WI] = w;
  const { stride: S = 1, pad: P = 0, upsample: UP = 1 } = options;
  const both = `(x ${show(x)}, w ${show(w)})`;
  if (WI !== CI) throw new ShapeError(`conv2d: weight expects ${WI} input channels, x has ${CI} ${both}`);
  if (K !== K2) throw new ShapeError(`conv2d: the kernel must be square ${both}`);
  if (b && (b.length !== 1 || b[0] !== CO)) {
    throw new ShapeError(`conv2d: bias must be [${CO}], found ${show(b)} ${both}`);
  }
  if (P >= H * UP || P >= W * UP) {
    throw new ShapeError(`conv2d: reflection padding ${P} needs a picture larger than ${P} pixels ${both}`);
  }
  const OH = Math.floor((H * UP + 2 * P - K) / S) + 1;
  const OW = Math.floor((W * UP + 2 * P - K) / S) + 1;
  if (OH < 1 || OW < 1)
    throw new ShapeError(`conv2d: the ${K}x${K} kernel is larger than the picture ${both}`);
  return { N, H, W, CI, CO, OH, OW, K, S, P, UP };
}

/** What a convolution can fuse into its store. */
export const ACTIVATIONS = ['none', 'leaky_relu', 'relu', 'tanh'] as const;

/** What follows the sum, as the kernels' constants name it: ACT counts in ACTIVATIONS. */
export interface ConvEpilogue {
  readonly BIAS: boolean;
  readonly ACT: number;
  readonly SLOPE: number;
}
