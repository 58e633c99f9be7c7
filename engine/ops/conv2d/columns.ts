import { memoised } from '../../record/memo.ts';
import { grid1d, intermediate, launch } from '../../record/recorder.ts';
import { elements } from '../../record/shape.ts';
import type { Spectrum } from '../../record/spectrum.ts';
import { type Tensor, viewOf } from '../../record/tensor.ts';
import { type Block, backwardWeight, columnProducts, MOST_SAMPLES, rowProducts } from '../linear.ts';
import { finish } from './finish.ts';
import type { ConvKernels } from './kernels.ts';
import type { ConvEpilogue, ConvSizes } from './sizes.ts';

// With few output positions a convolution is a linear layer of its patches, bound by reading each weight
// once: the deep layers of a discriminator. Tiles of 64 positions would multiply mostly nothing.

/** Weights below which the launches around the product cost more than it saves. */
const LEAST_WEIGHTS = 2 ** 16;

/** Bytes of all patches from which on another variant reads less. */
const MOST_BYTES = 2 ** 26;

const WG = 64;

/** Whether this variant can compute a layer. */
export function fitsColumns({ CI }: ConvSizes): boolean {
  return CI % 4 === 0;
}

/** Whether it is the one to take: the linear kernels read a weight once for up to so many positions. */
export function prefersColumns(s: ConvSizes): boolean {
  const weights = s.K * s.K * s.CI * s.CO;
  return fitsColumns(s) && s.N * s.OH * s.OW <= MOST_SAMPLES && weights >= LEAST_WEIGHTS;
}

/** Whether all patches are small enough to be written out for a forward pass of few output channels. */
export function fitsPatches(s: ConvSizes): boolean {
  return fitsColumns(s) && 4 * s.N * s.OH * s.OW * s.K * s.K * s.CI <= MOST_BYTES;
}

function sizesOf({ N, H, W, CI, OH, OW, K, S, P, UP }: ConvSizes) {
  return { N, H, W, C4: CI / 4, OH, OW, K, S, P, UP, WG };
}

/** Patches of x, [N OH OW, K K CI]. Once per step. */
function columnsOf(x: Tensor, s: ConvSizes): Tensor {
  const shape = [s.N * s.OH * s.OW, s.K * s.K * s.CI];
  return memoised(`conv2d.columns ${Object.values(s)}`, [x], () => {
    const y = intermediate(shape, 'conv2d columns');
    launch({
      kernel: 'conv2d/columns',
      constants: sizesOf(s),
      label: 'conv2d.columns',
      bind: [x, y],
      grid: grid1d(elements(shape) / 4, WG),
    });
    return y;
  });
}

const blockOf = (w: Tensor, { CO }: ConvSizes): Block => ({ w, rows: CO, first: 0 });

function forward(
  [x, w, b]: readonly [Tensor, Tensor, Tensor | null],
  s: ConvSizes,
  epilogue: ConvEpilogue,
  spectrum: Spectrum | null,
): Tensor {
  const label = 'conv2d.forward';
  const part = rowProducts(label, columnsOf(x, s), [blockOf(w, s)], s.CO, { sliced: true });
  return finish(label, part, [s.N, s.OH, s.OW, s.CO], { b, epilogue, spectrum });
}

/**
 * The gradient of a picture from that of its patches: rows [N OH OW, K K CI], or the picture that
 * `patchProduct` makes.
 */
export function gatherPatches(columns: Tensor, s: ConvSizes): Tensor {
  const dx = intermediate([s.N, s.H, s.W, s.CI], 'conv2d dx');
  launch({
    kernel: 'conv2d/columns',
    entry: 'backward',
    constants: { ...sizesOf(s), PICTURE: columns.shape.length === 4 },
    label: 'conv2d.columns',
    bind: [columns, dx],
    grid: grid1d(elements(dx.shape) / 4, WG),
  });
  return dx;
}

function backwardInput(dy: Tensor, w: Tensor, s: ConvSizes): Tensor {
  const shape = [s.N * s.OH * s.OW, s.K * s.K * s.CI];
  return gatherPatches(columnProducts('conv2d.backwardInput', dy, [blockOf(w, s)], shape), s);
}

/** Layers that `fitsColumns`. */
export const columns: ConvKernels = {
  takesSpectrum: true,
  forward: (x, w, b, s, epilogue, spectrum) => forward([x, w, b], s, epilogue, spectrum),
  backward(x, w, dy, s, need, outer) {
    const flat = viewOf(dy, [s.N * s.OH * s.OW, s.CO]);
    return [
      need[0] ? backwardInput(flat, w, s) : null,
      need[1] ? backwardWeight('conv2d.backwardWeight', columnsOf(x, s), flat, blockOf(w, s), outer) : null,
    ];
  },
};
