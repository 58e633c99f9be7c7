import { grid1d, intermediate, launch } from '../../record/recorder.ts';
import { elements, type Shape } from '../../record/shape.ts';
import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { ConvEpilogue } from './sizes.ts';

const WG = 64;

/** What follows the sums of a convolution. */
export interface Following {
  readonly b: Tensor | null;
  readonly epilogue: ConvEpilogue;
  /** The weight is w / sigma, sample by sample. */
  readonly spectrum: Spectrum | null;
}

/**
 * The end of a convolution whose sums are cut into parts.
 * @param parts [slices, ..], each slice with the elements of `shape`
 * @returns f(b + sum over slices / sigma), of `shape`
 */
export function finish(label: string, parts: Tensor, shape: Shape, following: Following): Tensor {
  const { b, epilogue, spectrum } = following;
  const y = intermediate(shape, 'conv2d');
  const PC = elements(shape);
  const SLICES = elements(parts.shape) / PC;
  launch({
    kernel: 'conv2d/finishColumns',
    constants: { PC, C: shape[shape.length - 1], SLICES, CALLS: spectrum?.calls ?? 0, ...epilogue, WG },
    label,
    bind: [parts, b ?? parts, spectrum?.sigma ?? parts, y],
    grid: grid1d(PC, WG),
  });
  return y;
}
