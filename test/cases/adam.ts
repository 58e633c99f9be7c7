import { type AdamOptions, adamHyper, adamStep, clampRange } from '../../engine/ops/adam.ts';
import { add } from '../../engine/ops/add.ts';
import { zeros } from '../../engine/ops/fill.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { type HostArray, type OpCase, values } from './types.ts';

export interface AdamState {
  p: Float64Array;
  m: Float64Array;
  v: Float64Array;
}

/** One step of torch.optim.Adam in place, by its definition. */
export function adamReference(
  { p, m, v }: AdamState,
  g: Float64Array,
  step: number,
  lr: number,
  options: AdamOptions = {},
): void {
  const { beta1 = 0.5, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = options;
  p.forEach((value, i) => {
    const d = weightDecay === 0 ? g[i] : g[i] + weightDecay * value;
    m[i] = beta1 * m[i] + (1 - beta1) * d;
    v[i] = beta2 * v[i] + (1 - beta2) * d * d;
    const denominator = Math.sqrt(v[i]) / Math.sqrt(1 - beta2 ** step) + eps;
    p[i] = value - ((lr / (1 - beta1 ** step)) * m[i]) / denominator;
  });
}

const host = (data: Float64Array): HostArray => ({ shape: [data.length], data });

/** A copy to work on, so that a second run of the program starts from the same values. */
const copy = (x: Tensor) => add(x, zeros(x.shape));

const CONFIGS: Record<string, { count: number; step: number; options: AdamOptions }> = {
  'odd count, third step': { count: 1003, step: 3, options: {} },
  'weight decay, first step': { count: 4096, step: 1, options: { weightDecay: 1e-2 } },
  'other betas, several vec4s a lane': {
    count: 262148,
    step: 70,
    options: { beta1: 0.9, beta2: 0.99, eps: 1e-6, weightDecay: 1e-4 },
  },
};

export const cases: OpCase[] = Object.entries(CONFIGS).map(([name, { count, step, options }], i) => {
  const moment = values([count], 723 + 10 * i, 0.01);
  const hyper = host(Float64Array.from(adamHyper(step, 0.1, options)));
  return {
    op: 'adam',
    name,
    inputs: {
      p: values([count], 720 + 10 * i),
      g: values([count], 721 + 10 * i),
      m: values([count], 722 + 10 * i),
      v: { shape: [count], data: moment.data.map(Math.abs) },
      hyper,
    },
    run: (t) => {
      const [p, m, v] = [t.p, t.m, t.v].map(copy);
      adamStep({ p, g: t.g, m, v, hyper: t.hyper, ...options });
      const clamped = copy(t.p);
      clampRange(clamped, 0, 0.5);
      return [p, m, v, clamped];
    },
    reference: (h) => {
      const state = { p: h.p.data.slice(), m: h.m.data.slice(), v: h.v.data.slice() };
      adamReference(state, h.g.data, step, 0.1, options);
      const clamped = h.p.data.map((x) => Math.min(Math.max(x, 0), 0.5));
      return [host(state.p), host(state.m), host(state.v), host(clamped)];
    },
    grad: [],
    variants: ['naive'],
  };
});
