import { integers } from '../../scalar.ts';
import type { Tensor } from '../../tensor.ts';

/** How rows of a gathered product map to pixels; what each field means is in kernels/lib/geometry.wgsl. */
export interface Geometry {
  readonly images: number;
  readonly gridH: number;
  readonly gridW: number;
  readonly classes: number;
  readonly outStride: number;
  readonly outH: number;
  readonly outW: number;
  readonly outQuads: number;
  readonly inQuads: number;
  readonly inStride: number;
  readonly classStep: number;
  readonly tapsY: number;
  readonly tapsX: number;
}

/** Where a padded picture's texels are, besides row = y and layer = image. */
export interface Steps {
  readonly xStep: number;
  readonly quadStep: number;
}

/** Bias and activation of a forward pass. */
export interface Epilogue {
  readonly b: Tensor | null;
  /** 0 none, 1 LeakyReLU, 2 ReLU, 3 tanh. */
  readonly activation: number;
  readonly slope: number;
}

export const NO_EPILOGUE: Epilogue = { b: null, activation: 0, slope: 0 };

/** Parts of the sum over rows of the grid, for a weight gradient. */
export interface Splits {
  readonly splits: number;
  readonly splitRows: number;
}

function floatBits(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0];
}

/** The geometry as the kernels read it: a small buffer per content and device. */
export function geometryBuffer(
  g: Geometry,
  { xStep, quadStep }: Steps,
  epilogue: Epilogue = NO_EPILOGUE,
  { splits, splitRows }: Splits = { splits: 1, splitRows: 0 },
): Tensor {
  return integers([
    g.images,
    g.gridH,
    g.gridW,
    g.classes,
    g.outStride,
    g.outH,
    g.outW,
    g.outQuads,
    g.inQuads,
    g.inStride,
    g.classStep,
    g.tapsY,
    g.tapsX,
    xStep,
    quadStep,
    epilogue.b ? 1 : 0,
    epilogue.activation,
    floatBits(epilogue.slope),
    splits,
    splitRows,
  ]);
}

/** Kernel elements `from` .. `to - 1` of one axis that one tap sums. */
export type Range = readonly [from: number, to: number];

/** One axis of a layer's taps: `[class][tap]`. */
export type AxisTaps = readonly (readonly Range[])[];

/** One class with the kernel as it is. */
export function plainTaps(k: number): AxisTaps {
  return [Array.from({ length: k }, (_, t): Range => [t, t + 1])];
}

/** Taps of an input gradient with a stride: class c has the kernel elements c, c + stride, .., last first. */
export function strideTaps(k: number, stride: number): AxisTaps {
  const count = Math.ceil(k / stride);
  return Array.from({ length: stride }, (_, c) =>
    Array.from({ length: count }, (_, t): Range => {
      const at = c + stride * (count - 1 - t);
      return [at, Math.min(at + 1, Math.max(at, k))];
    }),
  );
}

/** A 3x3 kernel on a doubled picture: each parity of output pixels sees two pixels of the original. */
export const UPSAMPLE_TAPS: AxisTaps = [
  [
    [0, 1],
    [1, 3],
  ],
  [
    [0, 2],
    [2, 3],
  ],
];

/** The adjoint of `UPSAMPLE_TAPS`: one pixel of the original is seen by four pixels of the output. */
export const UPSAMPLE_GRADIENT_TAPS: AxisTaps = [
  [
    [2, 3],
    [1, 3],
    [0, 2],
    [0, 1],
  ],
];
