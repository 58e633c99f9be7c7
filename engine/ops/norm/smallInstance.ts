import { differentiable, grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { Tensor } from '../../record/tensor.ts';

// One launch each way instead of three: a launch costs a processor as much as a pass over a small picture.

/** Pixels up to which one invocation sums them all. */
const MOST_ROWS = 1024;

/** Groups of four channels, of all samples, that keep two cores busy. */
const LEAST_GROUPS = 16;

/** Invocations of a workgroup: one of a processor's vectors. */
const WG = 8;

/** Whether these kernels are the ones to take. */
export function prefersSmall({ shape }: Tensor): boolean {
  const [N, H, W, C] = shape;
  return recorder().device.isCpu && C % 4 === 0 && H * W <= MOST_ROWS && (N * C) / 4 >= LEAST_GROUPS;
}

/** Instance norm of x [N,H,W,C] with C a multiple of 4, then ReLU where asked for, then the residual. */
export function smallInstance(x: Tensor, RELU: boolean, residual: Tensor | null): Tensor {
  const [N, H, W, C] = x.shape;
  const G = C / 4;
  const sizes = { N, ROWS: H * W, G, RELU, WG };
  const grid = grid1d(N * G, WG);
  const saved = intermediate([4, N, C], 'norm statistics');
  const y = intermediate(x.shape, 'instance');
  launch({
    kernel: 'norm/smallInstance',
    constants: { ...sizes, RESIDUAL: residual !== null },
    label: 'norm.instance',
    bind: [x, residual ?? x, saved, y],
    grid,
  });
  differentiable('norm', [x, residual], [y], ([dy], need) => {
    if (!need[0]) return [null, dy];
    const dx = intermediate(x.shape, 'norm dx');
    const label = 'norm.instanceBackward';
    launch({
      kernel: 'norm/smallInstanceBackward',
      constants: sizes,
      label,
      bind: [x, dy!, saved, dx],
      grid,
    });
    return [dx, need[1] ? dy : null];
  });
  return y;
}
