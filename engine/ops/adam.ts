import { AdawnError, ShapeError } from '../errors.ts';
import { integers } from '../record/constants.ts';
import { grid1d, intermediate, launch, recorder, variantOf } from '../record/recorder.ts';
import { elements, show } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

const WG = 64;

/** Numbers of torch.optim.Adam that stay fixed over a run; `ADAM` has the defaults. */
export interface AdamOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  /** Coupled: `weightDecay` · p is added to the gradient before the moments. */
  readonly weightDecay?: number;
}

/** Networks whose parameters a range holds, one after the other, and where to tell that they are lost. */
export interface Watch {
  /** Where each network's parameters end: ascending floats from the start of the range, multiples of 4. */
  readonly ends: readonly number[];
  /** Places in `flags`, one for each network. */
  readonly slots: readonly number[];
  /** Persistent. A network's place becomes 1 when it has a parameter or moment that is not finite. */
  readonly flags: Tensor;
}

/** U-GAT-IT's: what `adamStep` and `adamHyper` take where nothing else is said, and must agree about. */
export const ADAM: Required<AdamOptions> = { beta1: 0.5, beta2: 0.999, eps: 1e-8, weightDecay: 0 };

/** One flat range of parameters with its gradients and moments: same size, four different buffers. */
export interface AdamStep extends AdamOptions {
  readonly p: Tensor;
  readonly g: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  /** Persistent, [ADAM_HYPER]; holds `adamHyper(step, lr)`, uploaded before each run. */
  readonly hyper: Tensor;
  readonly watch?: Watch;
}

/** Length of the vector `adamHyper` gives. */
export const ADAM_HYPER = 4;

/** What changes from step to step, in float64 first: [lr / (1 − β₁ᵗ), √(1 − β₂ᵗ), 0, 0]; `step` is t ≥ 1. */
export function adamHyper(step: number, lr: number, options: AdamOptions = {}): Float32Array {
  if (!Number.isInteger(step) || step < 1) throw new AdawnError(`adam: steps count from 1, got ${step}`);
  const { beta1, beta2 } = { ...ADAM, ...options };
  return Float32Array.of(lr / (1 - beta1 ** step), Math.sqrt(1 - beta2 ** step), 0, 0);
}

/**
 * One step of torch.optim.Adam over a flat range, in place: one launch however many tensors the range holds.
 * @throws ShapeError when the sizes differ.
 */
export function adamStep({ p, g, m, v, hyper, watch, ...options }: AdamStep): void {
  const count = elements(p.shape);
  for (const [name, { shape }] of Object.entries({ g, m, v })) {
    if (elements(shape) !== count) {
      throw new ShapeError(`adam: p ${show(p.shape)} and ${name} ${show(shape)} must have the same size`);
    }
  }
  const { beta1: B1, beta2: B2, eps: EPS, weightDecay: DECAY } = { ...ADAM, ...options };
  const numbers = { WG, B1, B2, C1: 1 - B1, C2: 1 - B2, EPS, DECAY };
  const bind = [p, g, m, v, hyper];
  if (!watch && variantOf('adam', 'flat') === 'naive') {
    launch({
      kernel: 'adam/naive',
      constants: { COUNT: count, ...numbers },
      label: 'adam',
      bind,
      grid: grid1d(count, WG),
    });
    return;
  }
  const N4 = Math.ceil(count / 4);
  const lanes = recorder().device.isCpu ? { WG: 8, PER: 32 } : { WG: 64, PER: 4 };
  const table = watch ? integers(watch.ends.flatMap((end, k) => [end / 4, watch.slots[k]])) : hyper;
  const flags = watch?.flags ?? intermediate([1], 'no flags');
  launch({
    kernel: 'adam/main',
    constants: { N4, WATCHED: watch?.ends.length ?? 0, ...numbers, ...lanes },
    label: 'adam',
    bind: [...bind, table, flags],
    grid: grid1d(N4, lanes.WG * lanes.PER),
  });
}

/** Clamps every element of a persistent tensor or flat range to [low, high], in place. */
export function clampRange(range: Tensor, low: number, high: number): void {
  const COUNT = elements(range.shape);
  launch({
    kernel: 'adam/clamp',
    constants: { COUNT, LOW: low, HIGH: high, WG },
    label: 'adam.clamp',
    bind: [range],
    grid: grid1d(COUNT, WG),
  });
}
