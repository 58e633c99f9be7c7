import { differentiable, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { NormCall, ParametersOf } from './call.ts';

// ILN and AdaILN in one launch each way instead of three. A picture's channels meet in one workgroup, which
// runs on one core: worth it where launches cost more than the pass. Measured on two cores; with more of them
// three launches gain, and these do not.

/** Groups of four channels: fewer leave lanes of a vector idle, for more nothing was to be gained. */
const LEAST_GROUPS = 8;
const MOST_GROUPS = 64;

/** vec4s of all pictures: one launch takes 0.5 of three's time at 4096, 0.7 at 9216, 0.9 at 18432. */
const MOST_VECTORS = 12288;

/** Whether these kernels are the ones to take. */
export function prefersSmallLayer({ shape }: Tensor): boolean {
  const [N, H, W, C] = shape;
  const G = C / 4;
  const fits = C % 4 === 0 && G >= LEAST_GROUPS && G <= MOST_GROUPS;
  return recorder().device.isCpu && fits && N * H * W * G <= MOST_VECTORS;
}

/** ILN or AdaILN of x [N,H,W,C] with C a multiple of 4, then ReLU where asked for, then the residual. */
export function smallLayer(call: NormCall & ParametersOf): Tensor {
  const { kind, x, rho, gamma, beta, relu: RELU, residual } = call;
  const [N, H, W, C] = x.shape;
  const G = C / 4;
  const KIND = kind === 'iln' ? 1 : 2;
  const sizes = { N, ROWS: H * W, G, KIND, RELU, WG: Math.ceil(G / 8) * 8 };
  const saved = intermediate([9, N, C], 'norm statistics');
  const y = intermediate(x.shape, kind);
  launch({
    kernel: 'norm/smallLayer',
    constants: { ...sizes, RESIDUAL: residual !== null },
    label: 'norm.layer',
    bind: [x, rho, gamma, beta, residual ?? x, saved, y],
    grid: [N, 1, 1],
  });
  differentiable('norm', [x, rho, gamma, beta, residual], [y], ([dy], need) => {
    const toResidual = need[4] ? dy! : null;
    if (!need.slice(0, 4).some(Boolean)) return [null, null, null, null, toResidual];
    // All four: what is wanted of a norm within a network is dx and, where it learns, the rest.
    const grads = [x, rho, gamma, beta].map((t) => intermediate(t.shape, 'norm gradient'));
    launch({
      kernel: 'norm/smallLayerBackward',
      constants: sizes,
      label: 'norm.layerBackward',
      bind: [x, dy!, saved, ...grads],
      grid: [1, 1, 1],
    });
    return [...grads.map((t, i) => (need[i] ? t : null)), toResidual];
  });
  return y;
}
