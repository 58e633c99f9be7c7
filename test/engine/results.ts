import { vjp } from '../../engine/grad/autograd.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import type { OpCase } from '../cases/types.ts';

/** Outputs `y0`, `y1`, .. and gradients `dNAME` of a case. Part of the program being recorded. */
export function resultsOf(
  c: OpCase,
  inputs: Readonly<Record<string, Tensor>>,
  seeds: readonly Tensor[],
): Record<string, Tensor> {
  const ys = c.run(inputs);
  const targets = c.grad.map((name) => inputs[name]);
  const grads = targets.length > 0 ? vjp(ys, seeds, targets) : [];
  const named = grads.map((g, i) => [`d${c.grad[i]}`, g] as const);
  return Object.fromEntries<Tensor>([...ys.map((y, i) => [`y${i}`, y] as const), ...named]);
}

/** ‖a − b‖ / ‖a‖; the norm of the difference itself where a is 0. */
export function difference(a: Float32Array, b: Float32Array): number {
  const norm = (x: Float32Array, y: Float32Array) =>
    Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0));
  return norm(a, b) / (norm(a, new Float32Array(a.length)) || 1);
}
