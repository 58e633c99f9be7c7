import { scalar } from '../../record/constants.ts';
import { vectors } from '../../record/lanes.ts';
import { memoised } from '../../record/memo.ts';
import { grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import { elements } from '../../record/shape.ts';
import { type Tensor, viewOf } from '../../record/tensor.ts';
import { halfScale } from '../halfScale.ts';
import { sumRows } from '../sumRows.ts';
import { type Following, finish } from './finish.ts';
import type { ConvKernels } from './kernels.ts';
import { fold, unpackWeights } from './pack.ts';
import { CLAMP, forwardProduct, inputProduct, isDoubling, type Product, REFLECT } from './products.ts';
import { type SigmaGradient, sigmaBindings } from './sigmaGradient.ts';
import type { ConvSizes } from './sizes.ts';
import {
  type Cut,
  cutFor,
  groupsOf,
  type LongExtents,
  splitInto,
  type TileName,
  tileConstants,
  tileFor,
} from './tile.ts';

/** Workgroups that keep every core of a processor busy to the end. */
const ENOUGH_ON_CPU = 8;

/** k of the deepest tile: where parts of a sum may end. */
const TILE_DEPTH = 16;

const inQuads = (channels: number) => channels % 4 === 0;

const NOTHING: Following = { b: null, epilogue: { BIAS: false, ACT: 0, SLOPE: 0.2 }, spectrum: null };

/** The constants of kernels/lib/gathered.wgsl. */
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
    X_QUADS: inQuads(IN),
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
  /** Sums are cut as finely as can be, as no device wants them: for tests. */
  readonly split?: boolean;
}

/** How a product is cut. A processor gets `onCpu` workgroups, or as many as the result has tiles. */
function cutOf(extents: LongExtents, { size, split }: Way, onCpu: number): Cut {
  const { isCpu } = recorder().device;
  if (!isCpu && !split) return cutFor(extents, size);
  const tile = tileFor(extents, size);
  const groups = groupsOf(extents, tile).reduce((product, count) => product * count, 1);
  return { tile, ...splitInto(extents.steps, split ? extents.steps : Math.ceil(onCpu / groups)) };
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
  readonly product: Product;
  readonly inputGradient: boolean;
  readonly following: Following;
}

/**
 * y[p,n] = f(b[n] + sum over taps t and channels k of picture[source(p) + t, k] w[t,k,n] / sigma), or with
 * another dimension in front parts of the sum, without what follows it.
 */
function rows(parts: RowsParts, way: Way): { y: Tensor; splits: number } {
  const { label, picture, w, product, inputGradient } = parts;
  const { geometry: g } = product;
  const [co, side, , ci] = w.shape;
  const channels = inputGradient ? ci : co;
  const layers = g.classes * g.classes;
  const depth = g.tapsY * g.tapsX * 4 * g.inQuads;
  const steps = { steps: Math.ceil(depth / TILE_DEPTH), stepDepth: TILE_DEPTH };
  const extents = { rows: g.images * g.gridH * g.gridW, columns: channels, layers, ...steps };
  const { tile, splits, splitSteps } = cutOf(extents, way, 1);
  const { constants, scale } = operandsOf(way, inputGradient ? picture : null);
  const { b, epilogue, spectrum } = splits > 1 ? NOTHING : parts.following;
  const shape = [g.images, g.outH, g.outW, channels];
  const y = intermediate(splits > 1 ? [splits, ...shape] : shape, label);
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
      SPLIT_DEPTH: splitSteps * TILE_DEPTH,
      RIGHT_BY_K: inputGradient,
      // Rows of w are input channels in either pass.
      W_QUADS: inQuads(ci),
      LANES: vectors(channels).LANES,
      ...tileConstants(tile),
      CALLS: spectrum?.calls ?? 0,
      ...epilogue,
      ...constants,
    },
    label,
    bind: [picture, w, b ?? w, spectrum?.sigma ?? w, y, ...scale],
    grid: groupsOf({ ...extents, layers: splits * layers }, tile),
  });
  return { y, splits };
}

function forward(x: Tensor, w: Tensor, s: ConvSizes, following: Following, way: Way): Tensor {
  const product = forwardProduct(s, false);
  const label = 'conv2d.forward';
  const parts = { label, picture: x, w: layersOf(w, s), product, inputGradient: false, following };
  const { y, splits } = rows(parts, way);
  return splits > 1 ? finish(label, y, y.shape.slice(1), following) : y;
}

/** The sum of parts [splits, ..]. */
function addParts(label: string, parts: Tensor): Tensor {
  const [splits, ...shape] = parts.shape;
  return viewOf(sumRows(viewOf(parts, [splits, elements(shape)]), label), shape);
}

function backwardInput(dy: Tensor, w: Tensor, s: ConvSizes, way: Way): Tensor {
  const product = inputProduct(s, false);
  const label = 'conv2d.backwardInput';
  const parts = { label, picture: dy, w: layersOf(w, s), product, inputGradient: true, following: NOTHING };
  const { y, splits } = rows(parts, way);
  const dp = splits > 1 ? addParts(label, y) : y;
  const doubling = isDoubling(s);
  const folding = { up: doubling ? 1 : s.UP, before: s.P, mode: doubling ? CLAMP : REFLECT };
  return fold('conv2d.fold', dp, [s.N, s.H, s.W, s.CI], folding);
}

function backwardWeight(x: Tensor, dy: Tensor, s: ConvSizes, outer: SigmaGradient | null, way: Way): Tensor {
  const p = forwardProduct(s, false);
  const { geometry: g } = p;
  const classes = g.classes * g.classes;
  const taps = g.tapsY * g.tapsX;
  const lines = g.images * g.gridH;
  const columns = 4 * taps * g.inQuads;
  const extents = { rows: s.CO, columns, layers: classes, steps: lines, stepDepth: g.gridW };
  const { tile, splits, splitSteps: SPLIT_ROWS } = cutOf(extents, way, ENOUGH_ON_CPU);
  const [down, across] = groupsOf(extents, tile);
  const partial = [splits, classes, 4 * g.outQuads, taps, 4 * g.inQuads];
  const whole = splits * classes === 1 && inQuads(s.CI) && inQuads(s.CO);
  const own = whole ? outer : null;
  const { constants, scale } = operandsOf(way, dy);
  const dw = intermediate(whole ? [s.CO, s.K, s.K, s.CI] : partial, 'conv2d dw');
  launch({
    kernel: 'conv2d/tiledWeights',
    constants: {
      ...constantsOf(p, x, s.CO),
      SPLIT_ROWS,
      CALLS: own?.spectrum.calls ?? 0,
      LEFT_BY_K: true,
      RIGHT_BY_K: true,
      DY_QUADS: inQuads(s.CO),
      ...tileConstants(tile),
      ...constants,
    },
    label: 'conv2d.backwardWeight',
    bind: [x, dy, ...sigmaBindings(own, x), dw, ...scale],
    grid: [across, down, splits * classes],
  });
  return whole ? dw : unpackWeights(dw, s, p, outer);
}

/** Any layer by tiles in shared memory, on any adapter: what gather does by subgroups and textures. */
export function gatherTiled(way: Way = {}): ConvKernels {
  return {
    takesSpectrum: true,
    forward: (x, w, b, s, epilogue, spectrum) => forward(x, w, s, { b, epilogue, spectrum }, way),
    backward: (x, w, dy, s, need, outer) => [
      need[0] ? backwardInput(dy, w, s, way) : null,
      need[1] ? backwardWeight(x, dy, s, outer, way) : null,
    ],
  };
}
