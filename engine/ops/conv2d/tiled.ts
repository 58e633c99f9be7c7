import { memoised } from '../../memo.ts';
import { grid1d, intermediate, launch, recorder } from '../../recorder.ts';
import type { Tensor } from '../../tensor.ts';
import type { ConvEpilogue, ConvKernels, ConvSizes } from '../conv2d.ts';
import { fold, unpackWeights } from './pack.ts';
import { CLAMP, forwardProduct, inputProduct, isDoubling, type Product, REFLECT } from './products.ts';

/** Side of the tile of results a workgroup owns. */
const TILE = 64;

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

/** y[p,n] = f(b[n] + sum over taps t and channels k of picture[source(p) + t, k] w[t,k,n]). */
function rows(
  label: string,
  [picture, w, b]: readonly [Tensor, Tensor, Tensor | null],
  p: Product,
  inputGradient: boolean,
  epilogue: ConvEpilogue,
): Tensor {
  const { geometry: g } = p;
  const [co, side, , ci] = w.shape;
  const channels = inputGradient ? ci : co;
  const y = intermediate([g.images, g.outH, g.outW, channels], label);
  launch({
    kernel: 'conv2d/tiledRows',
    constants: {
      ...constantsOf(p, picture, channels),
      WHOLE: g.whole,
      LAYER_START: g.layerStart,
      LAYER_CLASS: g.layerClass,
      LAYER_TAP: g.layerTap,
      SIDE: side,
      LAYER: ci,
      STEP_N: inputGradient ? 1 : side * side * ci,
      STEP_K: inputGradient ? side * side * ci : 1,
      TRANSPOSED: inputGradient,
      ...epilogue,
    },
    label,
    bind: [picture, w, b ?? w, y],
    grid: [
      Math.ceil((g.images * g.gridH * g.gridW) / TILE),
      Math.ceil(channels / TILE),
      g.classes * g.classes,
    ],
  });
  return y;
}

function backwardInput(dy: Tensor, w: Tensor, s: ConvSizes): Tensor {
  const p = inputProduct(s, false);
  const dp = rows('conv2d.backwardInput', [dy, layersOf(w, s), null], p, true, NO_EPILOGUE);
  const doubling = isDoubling(s);
  const folding = { up: doubling ? 1 : s.UP, before: s.P, mode: doubling ? CLAMP : REFLECT };
  return fold('conv2d.fold', dp, [s.N, s.H, s.W, s.CI], folding);
}

function backwardWeight(x: Tensor, dy: Tensor, s: ConvSizes): Tensor {
  const p = forwardProduct(s, false);
  const { geometry: g } = p;
  const classes = g.classes * g.classes;
  const taps = g.tapsY * g.tapsX;
  const tiles = [Math.ceil((taps * g.inQuads) / (TILE / 4)), Math.ceil(s.CO / TILE)];
  const enough = recorder().device.isCpu ? ENOUGH_ON_CPU : ENOUGH;
  const lines = g.images * g.gridH;
  const wanted = Math.min(lines, Math.ceil(enough / (tiles[0] * tiles[1] * classes)));
  const SPLIT_ROWS = Math.ceil(lines / wanted);
  const splits = Math.ceil(lines / SPLIT_ROWS);
  const partial = [splits, classes, 4 * g.outQuads, taps, 4 * g.inQuads];
  const whole = splits * classes === 1 && s.CI % 4 === 0 && s.CO % 4 === 0;
  const dw = intermediate(whole ? [s.CO, s.K, s.K, s.CI] : partial, 'conv2d dw');
  launch({
    kernel: 'conv2d/tiledWeights',
    constants: { ...constantsOf(p, x, s.CO), SPLIT_ROWS },
    label: 'conv2d.backwardWeight',
    bind: [x, dy, dw],
    grid: [tiles[0], tiles[1], splits * classes],
  });
  return whole ? dw : unpackWeights(dw, s, p);
}

/** Any layer by tiles in shared memory, on any adapter: what gather does by subgroups and textures. */
export const gatherTiled: ConvKernels = {
  forward(x, w, b, s, epilogue) {
    return rows('conv2d.forward', [x, layersOf(w, s), b], forwardProduct(s, false), false, epilogue);
  },
  backward(x, w, dy, s, need) {
    return [need[0] ? backwardInput(dy, w, s) : null, need[1] ? backwardWeight(x, dy, s) : null];
  },
};
