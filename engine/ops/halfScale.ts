import { memoised } from '../record/memo.ts';
import { intermediate, launch } from '../record/recorder.ts';
import { elements } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

const WG = 64;

/** Workgroups of the first launch: enough for a GPU, few enough for one workgroup to end with. */
const MOST_GROUPS = 256;

function pass(entry: 'partial' | 'main', x: Tensor, GROUPS: number, size: number): Tensor {
  const y = intermediate([size], 'halfScale');
  launch({
    kernel: 'halfScale/main',
    entry,
    constants: { N: elements(x.shape), GROUPS, WG },
    label: 'halfScale',
    bind: [x, y],
    grid: [GROUPS, 1, 1],
  });
  return y;
}

/**
 * The power of two by which x is multiplied before it is converted to 16-bit floats, and its inverse, both
 * exact: gradients are too small for 16 bits otherwise. Per tensor and step, so there is no scale to keep.
 * @returns [2]; a constant to the autograd
 */
export function halfScale(x: Tensor): Tensor {
  return memoised('halfScale', [x], () => {
    const groups = Math.min(MOST_GROUPS, Math.ceil(elements(x.shape) / (16 * WG)));
    const maxima = groups > 1 ? pass('partial', x, groups, groups) : x;
    return pass('main', maxima, 1, 2);
  });
}
