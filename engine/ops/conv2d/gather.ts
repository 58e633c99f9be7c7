import { integers } from '../../record/constants.ts';
import { workgroupSize } from '../../record/lanes.ts';
import { fitsTexture, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { Shape } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';
import { gatherPatches } from './columns.ts';
import { epilogueFields, type GatherEpilogue, geometryBuffer, NO_EPILOGUE } from './geometry.ts';
import { fold, packedExtent, packWeights } from './pack.ts';
import { paddedExtent, paddingOfDy, paddingOfX, padPicture } from './pad.ts';
import {
  CLAMP,
  forwardProduct,
  inputProduct,
  isDoubling,
  type Product,
  patchProduct,
  REFLECT,
} from './products.ts';
import type { ConvSizes } from './sizes.ts';

/**
 * Positions of a lane, and lanes: the tile of gatherRows is ROWS * SUBGROUP positions by 4 * QUADS channels.
 */
const ROWS = 8;
const SUBGROUP = 8;

/** Quads of columns of a tile. */
export function tileQuads(quads: number): number {
  return [4, 6].find((most) => quads <= most) ?? 8;
}

/** Whether the adapter has the textures that a layer needs, all passes. */
export function gatherFits(s: ConvSizes): boolean {
  const { device } = recorder();
  const forward = forwardProduct(s);
  const { gridW, gridH, outQuads } = forward.geometry;
  return [
    paddedExtent(s.N, s.CI, paddingOfX(s)),
    paddedExtent(s.N, s.CO, paddingOfDy(s)),
    { width: (gridW + 3) * outQuads, height: gridH, layers: s.N },
    packedExtent(s, forward, false),
    packedExtent(s, inputProduct(s), true),
  ].every((extent) => fitsTexture(device, extent));
}

interface RowOptions {
  readonly epilogue?: GatherEpilogue;
  /** Rows of w are k. */
  readonly transposed?: boolean;
  /** Where the picture begins in `left`. */
  readonly offset?: readonly [y: number, x: number];
}

/**
 * y[p,n] = f(b[n] + sum over taps t and channels k of left[source(p) + t, k] w[t,k,n] / sigma), channels
 * padded.
 */
function gatherRows(label: string, left: Tensor, w: Tensor, p: Product, options: RowOptions): Tensor {
  const { geometry: g } = p;
  const { epilogue = NO_EPILOGUE, transposed: TRANSPOSED = false, offset } = options;
  const QUADS = tileQuads(g.outQuads);
  const y = intermediate([g.images, g.outH, g.outW, 4 * g.outQuads], label);
  const geometry = geometryBuffer(g, { offset, epilogue });
  launch({
    kernel: 'conv2d/gatherRows',
    constants: { ROWS, QUADS, TRANSPOSED, SUBGROUP },
    label,
    bind: [geometry, left, w, epilogue.b ?? geometry, epilogue.spectrum?.sigma ?? geometry, y],
    grid: [
      Math.ceil((g.images * g.gridH * g.gridW) / (ROWS * SUBGROUP)),
      Math.ceil(g.outQuads / QUADS),
      g.classes * g.classes,
    ],
  });
  return y;
}

/** Adds up the taps that are columns of z: a result of `shape`, forward or the gradient of padded x. */
function gatherColumns(
  label: string,
  z: Tensor,
  shape: Shape,
  p: Product,
  epilogue: GatherEpilogue,
  gradientStride: number,
): Tensor {
  const [images, outH, outW, channels] = shape;
  const [, inH, inW, pitch] = z.shape;
  const sizes = [inH, inW, pitch, p.foldsY, p.foldsX, outW, channels, gradientStride > 0 ? 1 : 0];
  const y = intermediate(shape, label);
  const columns = integers([...sizes, gradientStride, ...epilogueFields(epilogue)]);
  const WG = workgroupSize();
  launch({
    kernel: 'conv2d/gatherColumns',
    constants: { WG },
    label,
    bind: [columns, z, epilogue.b ?? columns, epilogue.spectrum?.sigma ?? columns, y],
    grid: [Math.ceil(outW / WG), outH, images],
  });
  return y;
}

/** y = f(b + conv(x, w)) by subgroups and textures. */
export function gatherForward(x: Tensor, w: Tensor, s: ConvSizes, epilogue: GatherEpilogue): Tensor {
  const p = forwardProduct(s);
  const shape = [s.N, s.OH, s.OW, s.CO];
  const left = padPicture('conv2d.padX', x, paddingOfX(s));
  const right = packWeights(w, s, p, false);
  const label = 'conv2d.forward';
  if (p.foldsX > 1) {
    const z = gatherRows(label, left, right, p, {});
    return gatherColumns('conv2d.gatherColumns', z, shape, p, epilogue, 0);
  }
  const y = gatherRows(label, left, right, p, { epilogue });
  return fold('conv2d.crop', y, shape, { up: 1, before: 0, mode: REFLECT });
}

/** Output channels from which on a product takes longer than gathering its results. */
const LEAST_CHANNELS = 32;

/** Positions up to which `byPatches` is asked: the patches of more would not stay in the cache. */
const MOST_PATCHES = 128;

/**
 * Whether dx is better computed as patches, one product per output position, which are then gathered: a small
 * picture with its padding fills twice as many tiles of positions as its outputs do.
 */
function byPatches(s: ConvSizes, { geometry: g, foldsX }: Product): boolean {
  const outputs = s.N * s.OH * s.OW;
  // A doubled picture's packed layers are sums of taps.
  if (foldsX > 1 || s.K === 1 || s.CI % 4 !== 0 || isDoubling(s)) return false;
  if (s.CO < LEAST_CHANNELS || outputs > MOST_PATCHES) return false;
  const tiles = (positions: number) => Math.ceil(positions / (ROWS * SUBGROUP));
  const direct = tiles(g.images * g.gridH * g.gridW) * (g.classes * g.tapsY) ** 2;
  return 1.3 * tiles(outputs) * s.K * s.K < direct;
}

/** dx, of the shape of x, from dy. */
export function gatherBackwardInput(dy: Tensor, w: Tensor, shape: Shape, s: ConvSizes): Tensor {
  const p = inputProduct(s);
  const around = paddingOfDy(s);
  const left = padPicture('conv2d.padDy', dy, around);
  const label = 'conv2d.backwardInput';
  const right = packWeights(w, s, p, true);
  if (byPatches(s, p)) {
    const options = { offset: [around.beforeY, around.beforeX] as const, transposed: true };
    return gatherPatches(gatherRows(label, left, right, patchProduct(s), options), s);
  }
  let dp = gatherRows(label, left, right, p, { transposed: true });
  if (p.foldsX > 1) {
    const padded = [s.N, s.H * s.UP + 2 * s.P, s.W * s.UP + 2 * s.P, s.CI];
    dp = gatherColumns('conv2d.gatherColumns', dp, padded, p, NO_EPILOGUE, s.S);
  }
  const doubling = isDoubling(s);
  const mode = doubling ? CLAMP : REFLECT;
  return fold('conv2d.fold', dp, shape, { up: doubling ? 1 : s.UP, before: s.P, mode });
}
