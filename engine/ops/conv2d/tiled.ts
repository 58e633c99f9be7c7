import { scalar } from '../../record/constants.ts';
import { memoised } from '../../record/memo.ts';
import { grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { ConvEpilogue, ConvKernels, ConvSizes } from '../conv2d.ts';
import { halfScale } from '../halfScale.ts';
import { fold, unpackWeights } from './pack.ts';
import { CLAMP, forwardProduct, inputProduct, isDoubling, type Product, REFLECT } from './products.ts';
import { groupsOf, type TileName, tileConstants, tileFor } from './tile.ts';

/** Workgroups that fill a GPU, or the cores of a processor. */
const ENOUGH = 512;
const ENOUGH_ON_CPU = 8;

const NO_EPILOGUE: ConvEpilogue = { BIAS: false, ACT: 0, SLOPE: 0.2 };

/** What both kernels say of the picture and of the grid; names as in kernels/conv2d/tiledRows.wgsl. */
function constantsOf({ geometry: g, padding }: Product, picture: Tensor, channels: number) {
  const [, H, W, IN] = picture.shape;
  return {
    IMAGES: g.images,
    H,
    W,
    UP: padding.up,
    IN,
    OUT: channels,
    BEFORE_Y: padding.beforeY,
    BEFORE_X: padding.beforeX,
    MODE: padding.mode,
    GRID_H: g.gridH,
    GRID_W: g.gridW,
    CLASSES: g.classes,
    OUT_STRIDE: g.outStride,
    OUT_H: g.outH,
    OUT_W: g.outW,
    IN_STRIDE: g.inStride,
    CLASS_STEP: g.classStep,
    TAPS_Y: g.tapsY,
    TAPS_X: g.tapsX,
    ALIGNED: IN % 4 === 0 && channels % 4 === 0,
  };
}

/** w, or for a doubled picture the weights of its four parities: [CO, layers, layers, CI]. Once per step. */
function layersOf(w: Tensor, s: ConvSizes): Tensor {
  if (!isDoubling(s)) return w;
  return memoised('conv2d.sumTaps', [w], () => {
    const { CI, CO } = s;
    const y = intermediate([CO, 4, 4, CI], 'conv2d summed w');
    const constants = { CI, CO, WG: 64 };
    const grid = grid1d(CO * 16 * CI, 64);
    launch({ kernel: 'conv2d/sumTaps', constants, label: 'conv2d.sumTaps', bind: [w, y], grid });
    return y;
  });
}

/** How the products go by tiles. */
export interface Way {
  /** Size of the tiles; absent: what suits each product. */
  readonly size?: TileName;
  /** Operands in 16 bits (mixed precision). */
  readonly half?: boolean;
  /** By tensor cores; wants `half`. */
  readonly matrices?: boolean;
}

interface Operands {
  readonly constants: Record<string, string | boolean>;
  readonly scale: readonly Tensor[];
}

/** What the kernels multiply, and what they bind for it. A gradient is scaled for 16 bits. */
function operandsOf({ half, matrices }: Way, gradient: Tensor | null): Operands {
  if (!half) return { constants: {}, scale: [] };
  const constants = {
    OPERANDS: 'operandsHalf',
    CORE: matrices ? 'tileMatrix' : 'tile',
    SCALED: gradient !== null,
  };
  return { constants, scale: [gradient ? halfScale(gradient) : scalar(1)] };
}

interface RowsParts {
  readonly label: string;
  readonly picture: Tensor;
  readonly w: Tensor;
  readonly b: Tensor | null;
  readonly product: Product;
  readonly inputGradient: boolean;
  readonly epilogue: ConvEpilogue;
}

/** y[p,n] = f(b[n] + sum over taps t and channels k of picture[source(p) + t, k] w[t,k,n]). */
function rows(parts: RowsParts, way: Way): Tensor {
  const { label, picture, w, b, product, inputGradient } = parts;
  const { geometry: g } = product;
  const [co, side, , ci] = w.shape;
  const channels = inputGradient ? ci : co;
  const layers = g.classes * g.classes;
  const extents = { rows: g.images * g.gridH * g.gridW, columns: channels, layers };
  const tile = tileFor(extents, way.size);
  const { constants, scale } = operandsOf(way, inputGradient ? picture : null);
  const y = intermediate([g.images, g.outH, g.outW, channels], label);
  launch({
    kernel: 'conv2d/tiledRows',
    constants: {
      ...constantsOf(product, picture, channels),
      WHOLE: g.whole,
      LAYER_START: g.layerStart,
      LAYER_CLASS: g.layerClass,
      LAYER_TAP: g.layerTap,
      SIDE: side,
      LAYER: ci,
      STEP_N: inputGradient ? 1 : side * side * ci,
      STEP_K: inputGradient ? side * side * ci : 1,
      RIGHT_BY_K: inputGradient,
      ...tileConstants(tile),
      ...parts.epilogue,
      ...constants,
    },
    label,
    bind: [picture, w, b ?? w, y, ...scale],
    grid: groupsOf(extents, tile),
  });
  return y;
}

function forward(
  [x, w, b]: readonly [Tensor, Tensor, Tensor | null],
  s: ConvSizes,
  epilogue: ConvEpilogue,
  way: Way,
): Tensor {
  const product = forwardProduct(s, false);
  const label = 'conv2d.forward';
  return rows({ label, picture: x, w: layersOf(w, s), b, product, inputGradient: false, epilogue }, way);
}

function backwardInput(dy: Tensor, w: Tensor, s: ConvSizes, way: Way): Tensor {
  const product = inputProduct(s, false);
  const label = 'conv2d.backwardInput';
  const parts = { label, picture: dy, w: layersOf(w, s), b: null, product, inputGradient: true };
  const dp = rows({ ...parts, epilogue: NO_EPILOGUE }, way);
  const doubling = isDoubling(s);
  const folding = { up: doubling ? 1 : s.UP, before: s.P, mode: doubling ? CLAMP : REFLECT };
  return fold('conv2d.fold', dp, [s.N, s.H, s.W, s.CI], folding);
}

function backwardWeight(x: Tensor, dy: Tensor, s: ConvSizes, way: Way): Tensor {
  const p = forwardProduct(s, false);
  const { geometry: g } = p;
  const classes = g.classes * g.classes;
  const taps = g.tapsY * g.tapsX;
  const lines = g.images * g.gridH;
  const enough = recorder().device.isCpu ? ENOUGH_ON_CPU : ENOUGH;
  // Rows of the grid can be split as fine as it takes to fill the device, so tiles go by their shape alone.
  const extents = { rows: s.CO, columns: 4 * taps * g.inQuads, layers: classes };
  const tile = tileFor({ ...extents, layers: classes * lines }, way.size);
  const [across, down] = groupsOf(extents, tile);
  const wanted = Math.min(lines, Math.ceil(enough / (across * down * classes)));
  const SPLIT_ROWS = Math.ceil(lines / wanted);
  const splits = Math.ceil(lines / SPLIT_ROWS);
  const partial = [splits, classes, 4 * g.outQuads, taps, 4 * g.inQuads];
  const whole = splits * classes === 1 && s.CI % 4 === 0 && s.CO % 4 === 0;
  const { constants, scale } = operandsOf(way, dy);
  const dw = intermediate(whole ? [s.CO, s.K, s.K, s.CI] : partial, 'conv2d dw');
  launch({
    kernel: 'conv2d/tiledWeights',
    constants: {
      ...constantsOf(p, x, s.CO),
      SPLIT_ROWS,
      LEFT_BY_K: true,
      RIGHT_BY_K: true,
      ...tileConstants(tile),
      ...constants,
    },
    label: 'conv2d.backwardWeight',
    bind: [x, dy, dw, ...scale],
    grid: [down, across, splits * classes],
  });
  return whole ? dw : unpackWeights(dw, s, p);
}

/** Any layer by tiles in shared memory, on any adapter: what gather does by subgroups and textures. */
export function gatherTiled(way: Way = {}): ConvKernels {
  return {
    forward: (x, w, b, s, epilogue) => forward([x, w, b], s, epilogue, way),
    backward: (x, w, dy, s, need) => [
      need[0] ? backwardInput(dy, w, s, way) : null,
      need[1] ? backwardWeight(x, dy, s, way) : null,
    ],
  };
}
