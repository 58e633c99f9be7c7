import { differentiable, grid1d, intermediate, launch } from '../recorder.ts';
import { elements, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { relu } from './activation.ts';
import { add } from './add.ts';
import type { NormCall } from './norm.ts';

const WG = 64;

/** One step of the chain: entry `step` of naive.wgsl with a, b, c, d, e = the tensors given. */
function pass(x: Shape, step: string, shape: Shape, inputs: Tensor[], flags: object = {}): Tensor {
  const [N, H, W, C] = x;
  const y = intermediate(shape, `norm ${step}`);
  const bind = [0, 1, 2, 3, 4].map((i) => inputs[i] ?? inputs[0]);
  launch({
    kernel: 'norm/naive',
    entry: step,
    constants: { N, ROWS: H * W, C, ...flags, WG },
    label: `norm.naive.${step}`,
    bind: [...bind, y],
    grid: grid1d(elements(shape), WG),
  });
  return y;
}

/** (x - mean) / sqrt(variance + eps) over planes, or with `layer` over pictures; `less` as in the kernel. */
function normalise(x: Tensor, layer: boolean, less: number): Tensor {
  const [n, , , c] = x.shape;
  const sets = layer ? [n] : [n, c];
  const flags = { LAYER: layer, LESS: less };
  const mean = pass(x.shape, 'mean', sets, [x], flags);
  const variance = pass(x.shape, 'variance', sets, [x, mean], flags);
  const y = pass(x.shape, 'normalise', x.shape, [x, mean, variance], flags);
  differentiable('norm.normalise', [x], [y], ([dy]) => {
    const average = pass(x.shape, 'mean', sets, [dy!], flags);
    const dot = pass(x.shape, 'dot', sets, [dy!, y], flags);
    return [pass(x.shape, 'normaliseBackward', x.shape, [dy!, y, average, dot, variance], flags)];
  });
  return y;
}

/** rho a + (1 - rho) b. */
function mix(a: Tensor, b: Tensor, rho: Tensor): Tensor {
  const y = pass(a.shape, 'mix', a.shape, [a, b, rho]);
  differentiable('norm.mix', [a, b, rho], [y], ([dy]) => [
    pass(a.shape, 'scale', a.shape, [dy!, rho]),
    pass(a.shape, 'scale', a.shape, [dy!, rho], { COMPLEMENT: true }),
    pass(a.shape, 'sumOver', rho.shape, [dy!, a, b], { TERM: 2 }),
  ]);
  return y;
}

/** x gamma + beta; both [C] or both [N,C]. */
function affine(x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const flags = { PER_SAMPLE: gamma.shape.length === 2 };
  const y = pass(x.shape, 'affine', x.shape, [x, gamma, beta], flags);
  differentiable('norm.affine', [x, gamma, beta], [y], ([dy]) => [
    pass(x.shape, 'scale', x.shape, [dy!, gamma], flags),
    pass(x.shape, 'sumOver', gamma.shape, [dy!, x], { ...flags, TERM: 1 }),
    pass(x.shape, 'sumOver', beta.shape, [dy!], { ...flags, TERM: 0 }),
  ]);
  return y;
}

/** The unfused chain: mean, variance, normalise (twice), mix, affine, ReLU, residual, each a pass of its own. */
export function naiveNorm(call: NormCall): Tensor {
  const { x, rho, gamma, beta } = call;
  let y: Tensor;
  if (rho && gamma && beta) y = affine(mix(normalise(x, false, 1), normalise(x, true, 1), rho), gamma, beta);
  else y = normalise(x, false, 0);
  if (call.relu) y = relu(y);
  return call.residual ? add(y, call.residual) : y;
}
