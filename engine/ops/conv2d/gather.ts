import { intermediate, launch } from '../../recorder.ts';
import type { Shape } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import type { ConvSizes } from '../conv2d.ts';
import {
  type AxisTaps,
  type Epilogue,
  type Geometry,
  geometryBuffer,
  NO_EPILOGUE,
  plainTaps,
  strideTaps,
  UPSAMPLE_GRADIENT_TAPS,
  UPSAMPLE_TAPS,
} from './geometry.ts';
import {
  allFit,
  CLAMP,
  fold,
  type Padding,
  packedExtent,
  packWeights,
  paddedExtent,
  padPicture,
  REFLECT,
  ZERO,
} from './pack.ts';

/** Positions of a lane, and lanes: the tile of gatherRows is ROWS * SUBGROUP positions by 32 channels. */
const ROWS = 8;
const SUBGROUP = 8;

const quadsOf = (channels: number) => Math.ceil(channels / 4);

/** Whether a layer is a 3x3 convolution of a doubled picture, whose four parities have 2x2 taps each. */
export function isDoubling({ K, S, P, UP }: ConvSizes): boolean {
  return UP === 2 && K === 3 && S === 1 && P === 1;
}

/** A product of gathered rows: the left picture's padding, the right side's taps, and how both meet. */
export interface Product {
  readonly geometry: Geometry;
  readonly padding: Padding;
  readonly taps: AxisTaps;
}

/** Rows and columns of padding included that positions 0 .. count - 1 of all classes read. */
function reach(
  count: number,
  g: { inStride: number; classes: number; classStep: number },
  taps: number,
): number {
  return (count - 1) * g.inStride + (g.classes - 1) * g.classStep + taps;
}

interface ProductParts extends Pick<Padding, 'up' | 'before' | 'mode'> {
  readonly grid: readonly [images: number, height: number, width: number];
  readonly out: readonly [height: number, width: number, channels: number];
  readonly channels: number;
  readonly taps: AxisTaps;
  readonly inStride: number;
  readonly outStride: number;
  readonly classStep: number;
}

/** Completes a product's description. */
function product(p: ProductParts): Product {
  const [images, gridH, gridW] = p.grid;
  const [outH, outW, outChannels] = p.out;
  const steps = { inStride: p.inStride, classes: p.taps.length, classStep: p.classStep };
  const count = p.taps[0].length;
  const geometry: Geometry = {
    ...steps,
    images,
    gridH,
    gridW,
    outStride: p.outStride,
    outH,
    outW,
    outQuads: quadsOf(outChannels),
    inQuads: quadsOf(p.channels),
    tapsY: count,
    tapsX: count,
  };
  const height = reach(gridH, steps, count);
  const width = reach(gridW, steps, count);
  const { up, before, mode } = p;
  return { geometry, taps: p.taps, padding: { up, before, mode, height, width, planar: true } };
}

/** y as a product of gathered rows of x. */
export function forwardProduct(s: ConvSizes): Product {
  if (isDoubling(s)) {
    return product({
      grid: [s.N, s.H, s.W],
      out: [s.OH, s.OW, s.CO],
      channels: s.CI,
      taps: UPSAMPLE_TAPS,
      inStride: 1,
      outStride: 2,
      classStep: 1,
      up: 1,
      before: 1,
      mode: CLAMP,
    });
  }
  return product({
    grid: [s.N, s.OH, s.OW],
    out: [s.OH, s.OW, s.CO],
    channels: s.CI,
    taps: plainTaps(s.K),
    inStride: s.S,
    outStride: 1,
    classStep: 0,
    up: s.UP as 1 | 2,
    before: s.P,
    mode: REFLECT,
  });
}

/** The gradient of padded x as a product of gathered rows of dy. */
export function inputProduct(s: ConvSizes): Product {
  const doubling = isDoubling(s);
  const height = doubling ? s.H + 2 : s.H * s.UP + 2 * s.P;
  const width = doubling ? s.W + 2 : s.W * s.UP + 2 * s.P;
  const taps = doubling ? UPSAMPLE_GRADIENT_TAPS : strideTaps(s.K, s.S);
  return product({
    grid: doubling ? [s.N, height, width] : [s.N, Math.ceil(height / s.S), Math.ceil(width / s.S)],
    out: [height, width, s.CI],
    channels: s.CO,
    taps,
    inStride: doubling ? 2 : 1,
    outStride: s.S,
    classStep: 0,
    up: 1,
    before: taps[0].length - 1,
    mode: ZERO,
  });
}

/** Whether the adapter has what the kernels of this file need. */
export function gatherFits(x: Shape, w: Shape, s: ConvSizes): boolean {
  const forward = forwardProduct(s);
  const input = inputProduct(s);
  return allFit(
    paddedExtent(x, { ...forward.padding, width: forward.padding.width + 4 * s.S }),
    paddedExtent([s.N, s.OH, s.OW, s.CO], { ...input.padding, width: input.padding.width + 8 }),
    packedExtent(w, forward.taps, false),
    packedExtent(w, input.taps, true),
  );
}

/** y[p,n] = f(b[n] + sum over taps t and channels k of left[source(p) + t, k] w[t,k,n]), channels padded. */
function gatherRows(label: string, left: Tensor, w: Tensor, p: Product, epilogue: Epilogue): Tensor {
  const { geometry: g } = p;
  const { texture, ...steps } = padPicture(`${label}.pad`, left, p.padding);
  const y = intermediate([g.images, g.outH, g.outW, 4 * g.outQuads], label);
  launch({
    kernel: 'conv2d/gatherRows',
    constants: { ROWS, SUBGROUP },
    label,
    bind: [geometryBuffer(g, steps, epilogue), texture, w, epilogue.b ?? left, y],
    grid: [
      Math.ceil((g.images * g.gridH * g.gridW) / (ROWS * SUBGROUP)),
      Math.ceil(g.outQuads / 8),
      g.classes * g.classes,
    ],
  });
  return y;
}

/** y = f(b + conv(x, w)) by subgroups and textures. */
export function gatherForward(x: Tensor, w: Tensor, s: ConvSizes, epilogue: Epilogue): Tensor {
  const p = forwardProduct(s);
  const y = gatherRows('conv2d.forward', x, packWeights(w, p.taps, false), p, epilogue);
  return fold('conv2d.crop', y, [s.N, s.OH, s.OW, s.CO], { up: 1, before: 0, mode: REFLECT });
}

/** dx, of the shape of x, from dy. */
export function gatherBackwardInput(dy: Tensor, w: Tensor, shape: Shape, s: ConvSizes): Tensor {
  const p = inputProduct(s);
  const dp = gatherRows('conv2d.backwardInput', dy, packWeights(w, p.taps, true), p, NO_EPILOGUE);
  const doubling = isDoubling(s);
  return fold('conv2d.fold', dp, shape, {
    up: doubling ? 1 : (s.UP as 1 | 2),
    before: s.P,
    mode: doubling ? CLAMP : REFLECT,
  });
}
