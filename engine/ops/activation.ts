import { AdawnError } from '../errors.ts';
import { differentiable, grid1d, intermediate, launch } from '../record/recorder.ts';
import { elements } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

const WG = 64;
const KINDS = ['relu', 'leaky_relu', 'tanh'] as const;
type Kind = (typeof KINDS)[number];

function apply(kind: Kind, entry: 'forward' | 'backward', slope: number, a: Tensor, b: Tensor): Tensor {
  const y = intermediate(a.shape, kind);
  const N4 = Math.ceil(elements(a.shape) / 4);
  launch({
    kernel: 'activation/main',
    entry,
    constants: { N4, KIND: KINDS.indexOf(kind), SLOPE: slope, WG },
    label: `activation.${entry}`,
    bind: [a, b, y],
    grid: grid1d(N4, WG),
  });
  return y;
}

function activation(kind: Kind, slope: number, x: Tensor): Tensor {
  const y = apply(kind, 'forward', slope, x, x);
  differentiable('activation', [x], [y], ([dy]) => [activationGradient(kind, slope, dy!, y)]);
  return y;
}

/** dx of an activation from dy and its OUTPUT y; also used by ops that fuse the activation. */
export function activationGradient(kind: Kind, slope: number, dy: Tensor, y: Tensor): Tensor {
  return apply(kind, 'backward', slope, dy, y);
}

/** The activation of that name as an op of its own. */
export function activate(kind: Kind | 'none', slope: number, x: Tensor): Tensor {
  if (kind === 'none') return x;
  return kind === 'leaky_relu' ? leakyRelu(x, slope) : activation(kind, slope, x);
}

/** max(x, 0); derivative 0 at 0 (torch.nn.ReLU). */
export function relu(x: Tensor): Tensor {
  return activation('relu', 0.2, x);
}

/** x where x > 0, else slope·x; derivative `slope` at 0 (torch.nn.LeakyReLU). `slope` is in (0, 1). */
export function leakyRelu(x: Tensor, slope = 0.2): Tensor {
  if (!(slope > 0 && slope < 1)) throw new AdawnError(`leakyRelu: slope must be in (0, 1), got ${slope}`);
  return activation('leaky_relu', slope, x);
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return activation('tanh', 0.2, x);
}
