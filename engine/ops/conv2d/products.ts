import type { Geometry } from './geometry.ts';
import type { ConvSizes } from './sizes.ts';

export const REFLECT = 0;
export const CLAMP = 1;
export const ZERO = 2;

/** How a picture is padded on its way into a texture. */
export interface Padding {
  readonly up: number;
  /** Pixels above. */
  readonly beforeY: number;
  /** Pixels to the left. */
  readonly beforeX: number;
  readonly mode: number;
  readonly height: number;
  readonly width: number;
}

/**
 * A convolution, or its input gradient, as a product of gathered rows of a padded picture and packed weights.
 * Where the result has few channels, taps become columns of the product (`foldsY` * `foldsX` of them) and a
 * second kernel adds them up, since a product of 4 columns would take as long as one of 32.
 */
export interface Product {
  readonly geometry: Geometry;
  readonly padding: Padding;
  readonly foldsY: number;
  readonly foldsX: number;
}

/** Kernel elements `from` .. `to - 1` of one axis that one layer of packed weights sums. */
export type Range = readonly [from: number, to: number];

/**
 * A 3x3 kernel on a doubled picture: each parity of output pixels sees two pixels of the original, so four
 * sums of neighbouring kernel elements on each axis serve both passes.
 */
const DOUBLING: readonly Range[] = [
  [0, 1],
  [0, 2],
  [1, 3],
  [2, 3],
];

/** Most columns of a product of folded taps. */
const COLUMNS = 32;

const quadsOf = (channels: number) => Math.ceil(channels / 4);

/** Whether four parities with 2x2 taps each, on the original picture, compute this: 2.25 times fewer. */
export function isDoubling({ K, S, P, UP }: ConvSizes): boolean {
  return UP === 2 && K === 3 && S === 1 && P === 1;
}

/** The ranges of one axis of the kernel, which `layer_of` in kernels/lib/geometry.wgsl numbers. */
export function layerRanges(s: ConvSizes): readonly Range[] {
  return isDoubling(s) ? DOUBLING : Array.from({ length: s.K }, (_, k): Range => [k, k + 1]);
}

/** Taps that become columns of a product with that many result channels, on both axes. */
function foldsOf(K: number, channels: number, most: number): [y: number, x: number] {
  if (K === 1 || channels * K > COLUMNS) return [1, 1];
  return channels * K * K <= most ? [K, K] : [1, K];
}

/** What most products have in common. */
const PLAIN = { classes: 1, outStride: 1, inStride: 1, classStep: 0, layerStart: 0, layerClass: 0 } as const;

function doublingForward(s: ConvSizes): Product {
  const geometry: Geometry = {
    ...PLAIN,
    images: s.N,
    gridH: s.H,
    gridW: s.W,
    classes: 2,
    outStride: 2,
    outH: s.OH,
    outW: s.OW,
    outQuads: quadsOf(s.CO),
    inQuads: quadsOf(s.CI),
    classStep: 1,
    tapsY: 2,
    tapsX: 2,
    whole: 2,
    layerClass: 1,
    layerTap: 2,
    side: 4,
  };
  const padding = { up: 1, beforeY: 1, beforeX: 1, mode: CLAMP, height: s.H + 2, width: s.W + 2 };
  return { geometry, padding, foldsY: 1, foldsX: 1 };
}

/** y as a product of gathered rows of x. `folding`: taps may become columns. */
export function forwardProduct(s: ConvSizes, folding = true): Product {
  if (isDoubling(s)) return doublingForward(s);
  const [foldsY, foldsX] = folding && s.S === 1 ? foldsOf(s.K, s.CO, COLUMNS) : [1, 1];
  const height = (s.OH - 1) * s.S + s.K;
  const width = (s.OW - 1) * s.S + s.K;
  const gridH = foldsY > 1 ? height : s.OH;
  const gridW = foldsX > 1 ? width : s.OW;
  const geometry: Geometry = {
    ...PLAIN,
    images: s.N,
    gridH,
    gridW,
    outH: gridH,
    outW: gridW,
    outQuads: quadsOf(s.CO * foldsY * foldsX),
    inQuads: quadsOf(s.CI),
    inStride: s.S,
    tapsY: s.K / foldsY,
    tapsX: s.K / foldsX,
    whole: 1,
    layerTap: 1,
    side: s.K / foldsX,
  };
  const padding = { up: s.UP, beforeY: s.P, beforeX: s.P, mode: REFLECT, height, width };
  return { geometry, padding, foldsY, foldsX };
}

function doublingInput(s: ConvSizes): Product {
  const gridH = s.H + 2;
  const gridW = s.W + 2;
  const geometry: Geometry = {
    ...PLAIN,
    images: s.N,
    gridH,
    gridW,
    outH: gridH,
    outW: gridW,
    outQuads: quadsOf(s.CI),
    inQuads: quadsOf(s.CO),
    inStride: 2,
    tapsY: 4,
    tapsX: 4,
    whole: 1,
    layerStart: 3,
    layerTap: -1,
    side: 4,
  };
  // Position j of the padded picture is seen by outputs 2j - 3 .. 2j of the doubled one.
  const padding = { up: 1, beforeY: 3, beforeX: 3, mode: ZERO, height: 2 * gridH + 2, width: 2 * gridW + 2 };
  return { geometry, padding, foldsY: 1, foldsX: 1 };
}

/** The gradient of padded x [N, H UP + 2P, W UP + 2P, CI] as a product of gathered rows of dy. */
export function inputProduct(s: ConvSizes, folding = true): Product {
  if (isDoubling(s)) return doublingInput(s);
  const outH = s.H * s.UP + 2 * s.P;
  const outW = s.W * s.UP + 2 * s.P;
  const [foldsY, foldsX] = foldsOf(s.K, s.CI, s.S === 1 ? COLUMNS : 2 * COLUMNS);
  if (folding && foldsX > 1 && (s.S === 1 || foldsY > 1)) return foldedInput(s, outH, foldsY);
  const taps = Math.ceil(s.K / s.S);
  const gridH = Math.ceil(outH / s.S);
  const gridW = Math.ceil(outW / s.S);
  const geometry: Geometry = {
    ...PLAIN,
    images: s.N,
    gridH,
    gridW,
    classes: s.S,
    outStride: s.S,
    outH,
    outW,
    outQuads: quadsOf(s.CI),
    inQuads: quadsOf(s.CO),
    tapsY: taps,
    tapsX: taps,
    whole: s.K - s.S * (taps - 1),
    layerStart: s.S * (taps - 1),
    layerClass: 1,
    layerTap: -s.S,
    side: s.K,
  };
  const before = taps - 1;
  const height = gridH + before;
  const padding = { up: 1, beforeY: before, beforeX: before, mode: ZERO, height, width: gridW + before };
  return { geometry, padding, foldsY: 1, foldsX: 1 };
}

function foldedInput(s: ConvSizes, outH: number, foldsY: number): Product {
  const gridH = foldsY > 1 ? s.OH : outH;
  const beforeY = s.K / foldsY - 1;
  const geometry: Geometry = {
    ...PLAIN,
    images: s.N,
    gridH,
    gridW: s.OW,
    outH: gridH,
    outW: s.OW,
    outQuads: quadsOf(s.CI * foldsY * s.K),
    inQuads: quadsOf(s.CO),
    tapsY: s.K / foldsY,
    tapsX: 1,
    whole: 1,
    layerStart: beforeY,
    layerTap: -1,
    side: 1,
  };
  const padding = { up: 1, beforeY, beforeX: 0, mode: ZERO, height: gridH + beforeY, width: s.OW };
  return { geometry, padding, foldsY, foldsX: s.K };
}

/**
 * The gradients of all patches, one product per tap and output: a picture [N, OH K, OW K, CI] in which
 * element (kh, kw) of the patch of output (i, j) is pixel (i K + kh, j K + kw).
 */
export function patchProduct(s: ConvSizes): Product {
  const geometry: Geometry = {
    ...PLAIN,
    images: s.N,
    gridH: s.OH,
    gridW: s.OW,
    classes: s.K,
    outStride: s.K,
    outH: s.OH * s.K,
    outW: s.OW * s.K,
    outQuads: quadsOf(s.CI),
    inQuads: quadsOf(s.CO),
    tapsY: 1,
    tapsX: 1,
    whole: s.K,
    layerClass: 1,
    layerTap: 0,
    side: s.K,
  };
  const padding = { up: 1, beforeY: 0, beforeX: 0, mode: ZERO, height: s.OH, width: s.OW };
  return { geometry, padding, foldsY: 1, foldsX: 1 };
}
