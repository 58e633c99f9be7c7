import { ShapeError } from '../../errors.ts';
import { vectors, workgroupSize } from '../../record/lanes.ts';
import { memoised } from '../../record/memo.ts';
import { differentiable, grid1d, intermediate, launch, recorder, variantOf } from '../../record/recorder.ts';
import { elements, expectRank, show } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { ConvOptions } from '../conv2d/sizes.ts';
import { conv2d } from '../conv2d.ts';

/** Rows of a sum that take one slice on a processor, and rows of a slice of more. */
const CPU_ROWS = 512;
const CPU_SLICE = 128;

/**
 * Rows per invocation and number of slices of a sum over `rows`. On a processor one where that will do: its
 * few threads have enough columns to share, and a launch more costs as much as the sum. Longer columns leave
 * its caches (2048 rows of 2048 channels: 21 ms in one slice, 12 in sixteen). On a GPU about the square root
 * of the rows each.
 */
function slicesOf(rows: number): { PER: number; SLICES: number } {
  const { isCpu } = recorder().device;
  const whole = rows <= (isCpu ? CPU_ROWS : 16);
  const PER = whole ? rows : isCpu ? CPU_SLICE : Math.ceil(Math.sqrt(rows));
  return { PER, SLICES: Math.ceil(rows / PER) };
}

/** Sums over slices of rows, of each of the two weights: where there is one slice, the gradients. */
function partsOf(weights: readonly Tensor[], C: number, SLICES: number): Tensor[] {
  return weights.map(({ shape }) => intermediate(SLICES === 1 ? shape : [SLICES, C], 'cam dw'));
}

/** The gradients from what `partsOf` made: sums over the slices, shaped like the weights. */
function addSlices(parts: Tensor[], C: number, SLICES: number, weights: readonly Tensor[]): Tensor[] {
  if (SLICES === 1) return parts;
  const sums = weights.map(({ shape }) => intermediate(shape, 'cam dw'));
  const WG = workgroupSize();
  launch({
    kernel: 'cam/addSlices',
    constants: { C, SLICES, WG },
    label: 'cam.addSlices',
    bind: [...parts, ...sums],
    grid: [Math.ceil(C / WG), 1, 1],
  });
  return sums;
}

function expectWeights(op: string, C: number, weights: Record<string, Tensor>): void {
  for (const [name, { shape }] of Object.entries(weights)) {
    if (elements(shape) !== C)
      throw new ShapeError(`${op}: ${name} must have ${C} values, found ${show(shape)}`);
  }
}

function scale(entry: 'forward' | 'backwardInput', bind: Tensor[], R: number, channels: number): Tensor {
  const { C, LANES } = vectors(channels);
  const WG = workgroupSize();
  launch({
    kernel: 'cam/scale',
    entry,
    constants: { R, C, LANES, WG },
    label: `cam.scale.${entry}`,
    bind,
    grid: grid1d(R * C, WG),
  });
  return bind[3];
}

/** Gradients of x and of both weights: dy is read once for all. */
function scaleBackward(dy: Tensor, x: Tensor, weights: readonly Tensor[]): Tensor[] {
  const channels = x.shape[3];
  const R = elements(x.shape) / channels;
  const { C, LANES } = vectors(channels);
  const { PER, SLICES } = slicesOf(R);
  const dx = intermediate(x.shape, 'cam dx');
  const parts = partsOf(weights, channels, SLICES);
  const WG = workgroupSize();
  launch({
    kernel: 'cam/scaleBackward',
    constants: { R, C, PER, SLICES, LANES, WG },
    label: 'cam.scale.backward',
    bind: [dy, x, ...weights, dx, ...parts],
    grid: grid1d(SLICES * C, WG),
  });
  return [dx, ...addSlices(parts, channels, SLICES, weights)];
}

/**
 * Attention as the authors write it: the channels of x times wGap, then the channels of x times wGmp.
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
  const y = scale('forward', [x, wGap, wGmp, intermediate(x.shape.with(3, 2 * C), 'cam.scale')], R, C);
  differentiable('cam', [x, wGap, wGmp], [y], ([dy], need) => {
    if (need[1] || need[2]) return scaleBackward(dy!, x, [wGap, wGmp]);
    return [scale('backwardInput', [dy!, wGap, wGmp, intermediate(x.shape, 'cam dx')], R, C), null, null];
  });
  return y;
}

/**
 * Columns a lane of the kernels of the folded weight owns, and rows of the first of them. A processor reads
 * longer stretches of a row faster; with more than 2 columns its registers overflow.
 */
function tileOf(C: number): { J: number; rows: number } {
  const { isCpu } = recorder().device;
  return isCpu ? { J: C >= 64 ? 2 : 1, rows: 64 } : { J: 1, rows: 16 };
}

function foldedWeight(w: Tensor, wGap: Tensor, wGmp: Tensor, O: number, channels: number): Tensor {
  const y = intermediate([O, 1, 1, channels], 'cam.weight');
  const sizes = { O, ...vectors(channels) };
  const { J, rows } = tileOf(sizes.C);
  const WG = workgroupSize();
  const tiles = Math.ceil(sizes.C / (WG * J));
  launch({
    kernel: 'cam/weight',
    constants: { ...sizes, PER: rows, J, WG },
    label: 'cam.weight',
    bind: [w, wGap, wGmp, y],
    grid: [tiles, Math.ceil(O / rows), 1],
  });
  differentiable('cam', [w, wGap, wGmp], [y], ([dy]) => {
    const { PER, SLICES } = slicesOf(O);
    const dw = intermediate(w.shape, 'cam dw');
    const parts = partsOf([wGap, wGmp], channels, SLICES);
    launch({
      kernel: 'cam/weightBackward',
      constants: { ...sizes, PER, J, WG },
      label: 'cam.weightBackward',
      bind: [dy!, w, wGap, wGmp, dw, ...parts],
      grid: [tiles, SLICES, 1],
    });
    return [dw, ...addSlices(parts, channels, SLICES, [wGap, wGmp])];
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

/**
 * Attention and the 1x1 convolution that mixes it: conv2d(camScale(x, wGap, wGmp), w, b, options), computed
 * with the attention folded into the weight.
 *
 * Folding moves 11 C CO floats there and back where scaling x moves 6, but multiplies half as often and is
 * shared by all calls with these weights. Measured on two cores, scaling wins in one case only, a single
 * call on 4 pixels of 1024 or more channels with all gradients (2048: 32 ms against 38). A batch of a real
 * and a fake picture has 8 pixels there, which is even; without the weights' gradients folding takes 18 ms
 * where scaling takes 24, and from 9 pixels on it is faster everywhere.
 * @param x [N,H,W,C]
 * @param w [CO,1,1,2C]
 * @param wGap C values
 * @param wGmp C values
 * @param b [CO]
 * @returns [N,H,W,CO]
 */
export function attend(
  x: Tensor,
  w: Tensor,
  wGap: Tensor,
  wGmp: Tensor,
  b: Tensor,
  options: Pick<ConvOptions, 'activation' | 'slope'>,
): Tensor {
  return variantOf('cam', 'fast') === 'naive'
    ? conv2d(camScale(x, wGap, wGmp), w, b, options)
    : conv2d(x, camWeight(w, wGap, wGmp), b, options);
}
