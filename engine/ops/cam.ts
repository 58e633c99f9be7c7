import { ShapeError } from '../errors.ts';
import { memoised } from '../memo.ts';
import { differentiable, grid1d, intermediate, launch, variantOf } from '../recorder.ts';
import { elements, expectRank, type Shape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { camLogits } from './camLogits.ts';
import { type ConvOptions, conv2d } from './conv2d.ts';

const WG = 64;

/** Pixels summed by one invocation before the sums are joined. */
const PIXELS_PER_SLICE = 64;

/** Global average and maximum pooling, and where (first in row-major order) the maximum is. */
interface Pooled {
  readonly gap: Tensor;
  readonly gmp: Tensor;
  readonly pixel: Tensor;
}

function pooled(N: number, C: number): Pooled {
  return {
    gap: intermediate([N, C], 'cam gap'),
    gmp: intermediate([N, C], 'cam gmp'),
    pixel: intermediate([N, C], 'cam pixel'),
  };
}

function poolNaive(x: Tensor): Pooled {
  const [N, H, W, C] = x.shape;
  const out = pooled(N, C);
  launch({
    kernel: 'cam/naivePool',
    constants: { N, HW: H * W, C, WG },
    label: 'cam.pool',
    bind: [x, out.gap, out.gmp, out.pixel],
    grid: grid1d(N * C, WG),
  });
  return out;
}

function poolFast(x: Tensor): Pooled {
  const [N, H, W, C] = x.shape;
  const HW = H * W;
  const C4 = C / 4;
  const SLICES = Math.ceil(HW / PIXELS_PER_SLICE);
  const out = pooled(N, C);
  const whole = SLICES === 1;
  const parts = whole ? out : pooled(N * SLICES, C);
  launch({
    kernel: 'cam/pool',
    constants: { N, HW, C4, SLICES, PER: PIXELS_PER_SLICE, SCALE: whole ? 1 / HW : 1, WG },
    label: 'cam.pool',
    bind: [x, parts.gap, parts.gmp, parts.pixel],
    grid: grid1d(N * SLICES * C4, WG),
  });
  if (whole) return out;
  launch({
    kernel: 'cam/poolJoin',
    constants: { N, C4, SLICES, SCALE: 1 / HW, WG },
    label: 'cam.pool',
    bind: [parts.gap, parts.gmp, parts.pixel, out.gap, out.gmp, out.pixel],
    grid: grid1d(N * C4, WG),
  });
  return out;
}

function poolBackward(
  dgap: Tensor | null,
  dgmp: Tensor | null,
  pixel: Tensor,
  shape: Shape,
  naive: boolean,
): Tensor {
  const [N, H, W, C] = shape;
  const HW = H * W;
  const dx = intermediate(shape, 'cam.pool dx');
  const given = { MEAN: dgap !== null, MAX: dgmp !== null, WG };
  const PER = Math.min(16, HW);
  launch({
    kernel: naive ? 'cam/naivePoolBackward' : 'cam/poolBackward',
    constants: naive ? { N, HW, C, ...given } : { N, HW, C4: C / 4, PER, ...given },
    label: 'cam.poolBackward',
    bind: [(dgap ?? dgmp)!, (dgmp ?? dgap)!, pixel, dx],
    grid: grid1d(naive ? N * HW * C : (N * Math.ceil(HW / PER) * C) / 4, WG),
  });
  return dx;
}

/**
 * Mean and maximum of every channel over the picture, in one pass. The gradient of the maximum goes to the
 * first pixel in row-major order that has it, as in torch.
 * @param x [N,H,W,C]
 * @returns gap and gmp, [N,C] each
 */
export function camPool(x: Tensor): { gap: Tensor; gmp: Tensor } {
  expectRank('camPool', 'x', x.shape, 4);
  const naive = variantOf('cam', 'fast') === 'naive' || x.shape[3] % 4 !== 0;
  const { gap, gmp, pixel } = naive ? poolNaive(x) : poolFast(x);
  differentiable('cam', [x], [gap, gmp], ([dgap, dgmp]) => [poolBackward(dgap, dgmp, pixel, x.shape, naive)]);
  return { gap, gmp };
}

/** Rows per invocation and number of slices of a sum over `rows`: about the square root of it each. */
function slicesOf(rows: number): { PER: number; SLICES: number } {
  const PER = rows <= 16 ? rows : Math.ceil(Math.sqrt(rows));
  return { PER, SLICES: Math.ceil(rows / PER) };
}

/** Sums part [SLICES,2,C] over the slices into gradients shaped like the two weights. */
function addSlices(part: Tensor, C: number, like: readonly Tensor[]): Tensor[] {
  const sums = like.map(({ shape }) => intermediate(shape, 'cam dw'));
  launch({
    kernel: 'cam/addSlices',
    constants: { C, SLICES: elements(part.shape) / (2 * C), WG },
    label: 'cam.addSlices',
    bind: [part, sums[0], sums[1]],
    grid: [Math.ceil((2 * C) / WG), 1, 1],
  });
  return sums;
}

function expectWeights(op: string, C: number, weights: Record<string, Tensor>): void {
  for (const [name, { shape }] of Object.entries(weights)) {
    if (elements(shape) !== C)
      throw new ShapeError(`${op}: ${name} must have ${C} values, found ${show(shape)}`);
  }
}

function scale(entry: string, bind: Tensor[], sizes: Record<string, number>, threads: number): Tensor {
  launch({
    kernel: 'cam/scale',
    entry,
    constants: { ...sizes, WG },
    label: `cam.scale.${entry}`,
    bind,
    grid: grid1d(threads, WG),
  });
  return bind[3];
}

/**
 * Attention as the authors write it: the channels of x times wGap, then the channels of x times wGmp.
 * `camWeight` computes the same faster where a 1x1 convolution follows.
 * @param x [N,H,W,C]
 * @param wGap C values
 * @param wGmp C values
 * @returns [N,H,W,2C]
 */
export function camScale(x: Tensor, wGap: Tensor, wGmp: Tensor): Tensor {
  expectRank('camScale', 'x', x.shape, 4);
  const C = x.shape[3];
  expectWeights('camScale', C, { wGap, wGmp });
  const R = elements(x.shape) / C;
  const y = intermediate(x.shape.with(3, 2 * C), 'cam.scale');
  scale('forward', [x, wGap, wGmp, y], { R, C }, R * C);
  differentiable('cam', [x, wGap, wGmp], [y], ([dy], need) => {
    const dx = need[0]
      ? scale('backwardInput', [dy!, wGap, wGmp, intermediate(x.shape, 'cam dx')], { R, C }, R * C)
      : null;
    if (!need[1] && !need[2]) return [dx, null, null];
    const { PER, SLICES } = slicesOf(R);
    const part = intermediate([SLICES, 2, C], 'cam dw');
    scale('backwardWeight', [dy!, x, x, part], { R, C, PER, SLICES }, SLICES * 2 * C);
    return [dx, ...addSlices(part, C, [wGap, wGmp])];
  });
  return y;
}

function heat(entry: 'forward' | 'backward', x: Tensor, y: Tensor, P: number, C: number): void {
  launch({
    kernel: 'cam/heat',
    entry,
    constants: { P, C, WG },
    label: `cam.heat.${entry}`,
    bind: [x, y],
    grid: grid1d(elements(y.shape), WG),
  });
}

/**
 * Sum over channels: the attention heat map.
 * @param x [N,H,W,C]
 * @returns [N,H,W,1]
 */
export function heatMap(x: Tensor): Tensor {
  expectRank('heatMap', 'x', x.shape, 4);
  const C = x.shape[3];
  const P = elements(x.shape) / C;
  const y = intermediate(x.shape.with(3, 1), 'cam.heat');
  heat('forward', x, y, P, C);
  differentiable('cam', [x], [y], ([dy]) => {
    const dx = intermediate(x.shape, 'cam.heat dx');
    heat('backward', dy!, dx, P, C);
    return [dx];
  });
  return y;
}

function foldedWeight(w: Tensor, wGap: Tensor, wGmp: Tensor, O: number, C: number): Tensor {
  const y = intermediate([O, 1, 1, C], 'cam.weight');
  const rows = Math.min(O, 16);
  launch({
    kernel: 'cam/weight',
    constants: { O, C, PER: rows, WG },
    label: 'cam.weight',
    bind: [w, wGap, wGmp, y],
    grid: grid1d(Math.ceil(O / rows) * C, WG),
  });
  differentiable('cam', [w, wGap, wGmp], [y], ([dy]) => {
    const { PER, SLICES } = slicesOf(O);
    const dw = intermediate(w.shape, 'cam dw');
    const part = intermediate([SLICES, 2, C], 'cam dw');
    launch({
      kernel: 'cam/weightBackward',
      constants: { O, C, PER, SLICES, WG },
      label: 'cam.weightBackward',
      bind: [dy!, w, wGap, wGmp, dw, part],
      grid: grid1d(SLICES * C, WG),
    });
    return [dw, ...addSlices(part, C, [wGap, wGmp])];
  });
  return y;
}

/**
 * The 1x1 convolution behind camScale with the attention folded into its weight:
 * conv2d(camScale(x, wGap, wGmp), w) = conv2d(x, camWeight(w, wGap, wGmp)), half the work, no joined tensor.
 * Exact algebra; in float32 the two differ by rounding (5e-7 of the result's norm at 256 channels).
 * Calls with the same weights share one result until a launch changes them.
 * @param w [CO,1,1,2C]
 * @param wGap C values
 * @param wGmp C values
 * @returns [CO,1,1,C]
 */
export function camWeight(w: Tensor, wGap: Tensor, wGmp: Tensor): Tensor {
  const O = w.shape[0];
  const C = elements(w.shape) / O / 2;
  if (!Number.isInteger(C)) throw new ShapeError(`camWeight: w ${show(w.shape)} must have 2C input channels`);
  expectWeights('camWeight', C, { wGap, wGmp });
  return memoised('cam.weight', [w, wGap, wGmp], () => foldedWeight(w, wGap, wGmp, O, C));
}

/** Weights of a CAM block. In G the logit and the scale weights are the same tensors. */
export interface CamWeights {
  /** [1,C]: spectrally normalised in D. */
  readonly gapLogit: Tensor;
  readonly gmpLogit: Tensor;
  /** [1,C]: the original weights in D. */
  readonly gapScale: Tensor;
  readonly gmpScale: Tensor;
  /** The 1x1 convolution: [CO,1,1,2C] and [CO]. */
  readonly conv: Tensor;
  readonly bias: Tensor;
}

/**
 * Class-activation-map block: logits of the pooled features, and the features weighted by the logits' weights
 * and mixed by a 1x1 convolution.
 * @param x [N,H,W,C]
 * @returns logit [N,2] (gap, gmp) and y [N,H,W,CO]
 */
export function cam(
  x: Tensor,
  weights: CamWeights,
  options: Pick<ConvOptions, 'activation' | 'slope'>,
): { logit: Tensor; y: Tensor } {
  const { gap, gmp } = camPool(x);
  const logit = camLogits(gap, gmp, weights.gapLogit, weights.gmpLogit, null);
  const { conv, bias, gapScale, gmpScale } = weights;
  const y =
    variantOf('cam', 'fast') === 'naive'
      ? conv2d(camScale(x, gapScale, gmpScale), conv, bias, options)
      : conv2d(x, camWeight(conv, gapScale, gmpScale), bias, options);
  return { logit, y };
}
