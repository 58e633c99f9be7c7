import { ShapeError } from '../errors.ts';
import { differentiable, recorder } from '../record/recorder.ts';
import { expectRank, type Shape, show } from '../record/shape.ts';
import type { Spectrum } from '../record/spectrum.ts';
import type { Tensor } from '../record/tensor.ts';
import { activate, activationGradient } from './activation.ts';
import { type ConvPath, chooseConv } from './conv2d/choose.ts';
import { columns } from './conv2d/columns.ts';
import { gatherBackwardInput, gatherForward } from './conv2d/gather.ts';
import { gatherBackwardWeight } from './conv2d/gatherBackward.ts';
import { naive } from './conv2d/naive.ts';
import { normalised, type Outer } from './conv2d/spectralConv.ts';
import { taps } from './conv2d/taps.ts';
import { gatherTiled } from './conv2d/tiled.ts';
import { winograd } from './conv2d/winograd.ts';
import { sumRows } from './sumRows.ts';

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

const ACTIVATIONS = ['none', 'leaky_relu', 'relu', 'tanh'] as const;

/** What follows the sum, as the kernels' constants name it: ACT counts in ACTIVATIONS. */
export interface ConvEpilogue {
  readonly BIAS: boolean;
  readonly ACT: number;
  readonly SLOPE: number;
}

/** One way to compute a convolution and the gradients of its x and w (null where `need` asks for none). */
export interface ConvKernels {
  /** Whether these kernels take a spectrum and outer products; else they get null for both. */
  readonly divides?: boolean;
  forward(
    x: Tensor,
    w: Tensor,
    b: Tensor | null,
    sizes: ConvSizes,
    epilogue: ConvEpilogue,
    spectrum: Spectrum | null,
  ): Tensor;
  backward(
    x: Tensor,
    w: Tensor,
    dy: Tensor,
    sizes: ConvSizes,
    need: readonly boolean[],
    outer: Outer | null,
  ): [dx: Tensor | null, dw: Tensor | null];
}

const gather: ConvKernels = {
  divides: true,
  forward(x, w, b, sizes, { ACT, SLOPE }, spectrum) {
    return gatherForward(x, w, sizes, { b, spectrum, activation: ACT, slope: SLOPE });
  },
  backward(x, w, dy, sizes, need, outer) {
    return [
      need[0] ? gatherBackwardInput(dy, w, x.shape, sizes) : null,
      need[1] ? gatherBackwardWeight(x, dy, w.shape, sizes, outer) : null,
    ];
  },
};

const PATHS: Record<ConvPath, ConvKernels> = {
  winograd: winograd({ textures: true }),
  winogradTiled: winograd({ textures: false }),
  winogradTiledSmall: winograd({ textures: false, size: 'Small' }),
  winogradTiledTall: winograd({ textures: false, size: 'Tall' }),
  winogradTiledLarge: winograd({ textures: false, size: 'Large' }),
  columns,
  columnsTiled: { ...gatherTiled(), forward: columns.forward },
  taps,
  gather,
  gatherTiled: gatherTiled(),
  gatherTiledSmall: gatherTiled({ size: 'Small' }),
  gatherTiledTall: gatherTiled({ size: 'Tall' }),
  gatherTiledLarge: gatherTiled({ size: 'Large' }),
  gatherTiledSplit: gatherTiled({ split: true }),
  gatherMixed: gatherTiled({ half: true }),
  gatherMixedSmall: gatherTiled({ half: true, size: 'Small' }),
  gatherMixedTall: gatherTiled({ half: true, size: 'Tall' }),
  gatherMixedLarge: gatherTiled({ half: true, size: 'Large' }),
  gatherMatrix: gatherTiled({ half: true, matrices: true }),
  gatherMatrixSmall: gatherTiled({ half: true, matrices: true, size: 'Small' }),
  gatherMatrixTall: gatherTiled({ half: true, matrices: true, size: 'Tall' }),
  gatherMatrixLarge: gatherTiled({ half: true, matrices: true, size: 'Large' }),
  naive,
};

/**
 * Convolution of a reflection-padded, optionally upsampled picture, with bias and activation fused:
 * torch.nn.Upsample, ReflectionPad2d, Conv2d and the activation in one op.
 * @param x [N,H,W,CI]
 * @param w [CO,K,K,CI]
 * @param b [CO] or null
 * @returns [N,OH,OW,CO]
 * @throws ShapeError when the sizes do not fit.
 */
export function conv2d(x: Tensor, w: Tensor, b: Tensor | null, options: ConvOptions = {}): Tensor {
  const sizes = convSizes(x.shape, w.shape, b?.shape ?? null, options);
  const { activation = 'none', slope = 0.2, spectrum } = options;
  const kernels = PATHS[chooseConv(recorder().device, sizes)];
  const epilogue = { BIAS: b !== null, ACT: ACTIVATIONS.indexOf(activation), SLOPE: slope };
  if (spectrum) {
    // The way back needs the activation's inverse.
    const fused = activation === 'none' || (activation === 'leaky_relu' && slope > 0);
    const own = fused ? epilogue : { ...epilogue, ACT: 0 };
    const y = normalised(kernels, [x, w, b], spectrum, sizes, own);
    return fused ? y : activate(activation, slope, y);
  }
  const y = kernels.forward(x, w, b, sizes, epilogue, null);
  differentiable('conv2d', [x, w, b], [y], ([dy], need) => {
    const dz = activation === 'none' ? dy! : activationGradient(activation, slope, dy!, y);
    const [dx, dw] = kernels.backward(x, w, dz, sizes, need, null);
    return [dx, dw, need[2] ? sumRows(dz, 'conv2d.backwardBias') : null];
  });
  return y;
}
