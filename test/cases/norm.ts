import { adailn, iln, instanceNorm, type NormOptions } from '../../engine/ops/norm.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { type HostArray, type HostArrays, type OpCase, uniform, values, zerosLike } from './types.ts';

const EPS = 1e-5;

/** Normalises the elements of x that share a set: torch.mean and torch.var, divided by count - less. */
function normalise({ data }: HostArray, sets: number, setOf: Int32Array, less: number): Float64Array {
  const count = data.length / sets;
  const mean = new Float64Array(sets);
  const variance = new Float64Array(sets);
  for (let i = 0; i < data.length; i++) mean[setOf[i]] += data[i] / count;
  for (let i = 0; i < data.length; i++) {
    variance[setOf[i]] += (data[i] - mean[setOf[i]]) ** 2 / (count - less);
  }
  const deviation = variance.map((v) => Math.sqrt(v + EPS));
  return data.map((v, i) => (v - mean[setOf[i]]) / deviation[setOf[i]]);
}

/** torch.nn.InstanceNorm2d, or the authors' ILN and AdaILN where rho is given; then ReLU and residual. */
function reference(v: HostArrays, relu: boolean): HostArray {
  const { x, rho, gamma, beta, residual } = v;
  const [n, h, w, c] = x.shape;
  const sample = Int32Array.from(x.data, (_, i) => Math.floor(i / (h * w * c)));
  const plane = sample.map((s, i) => s * c + (i % c));
  const xin = normalise(x, n * c, plane, rho ? 1 : 0);
  const xln = rho ? normalise(x, n, sample, 1) : xin;
  const y = zerosLike(x.shape);
  for (let i = 0; i < y.data.length; i++) {
    let value = xin[i];
    if (rho) {
      const r = rho.data[i % c];
      const at = gamma.shape.length === 2 ? plane[i] : i % c;
      value = (r * xin[i] + (1 - r) * xln[i]) * gamma.data[at] + beta.data[at];
    }
    if (relu) value = Math.max(value, 0);
    y.data[i] = value + (residual?.data[i] ?? 0);
  }
  return y;
}

/** rho in [0, 1), its first channels exactly 0 and 1. */
function ratios(c: number, seed: number): HostArray {
  const next = uniform(seed);
  const data = Float64Array.from({ length: c }, (_, i) => (i < 2 ? i : Math.fround(next())));
  return { shape: [c], data };
}

interface Config {
  kind: 'instance' | 'iln' | 'adailn';
  x: [number, number, number, number];
  scale?: number;
  shift?: number;
  relu?: boolean;
  residual?: boolean;
  constantPlane?: boolean;
  variants?: string[];
  tolerance?: number;
  gradTolerance?: number;
}

// Plain float32 passes lose the digits that a large mean hides, so those cases leave out the naive chain.
// Two pixels: a variance not far above eps, else dx is nothing but rounding. 48x64: drho is a small rest, as
// instance and layer agree there; no ReLU, since among so many elements some lie within a finite difference
// of its kink.
const FUSED = ['fused', 'wide'];
const CONFIGS: Record<string, Config> = {
  'instance, batch 2, odd, 3 channels': { kind: 'instance', x: [2, 5, 7, 3] },
  'instance, relu, 8 channels': { kind: 'instance', x: [1, 6, 9, 8], relu: true },
  'instance, residual, batch 2': { kind: 'instance', x: [2, 4, 6, 12], residual: true },
  'instance, large mean': { kind: 'instance', x: [1, 5, 5, 2], scale: 0.1, shift: 50, variants: FUSED },
  'instance, tiny variance': { kind: 'instance', x: [2, 7, 8, 4], scale: 1e-3, gradTolerance: 1e-4 },
  'instance, constant plane': { kind: 'instance', x: [1, 3, 5, 4], constantPlane: true, gradTolerance: 1e-4 },
  'instance, two pixels': { kind: 'instance', x: [1, 2, 1, 3], scale: 0.01, gradTolerance: 1e-4 },
  'instance, 33x40, 8 channels, relu': { kind: 'instance', x: [1, 33, 40, 8], relu: true },
  'iln, batch 3, 5 channels': { kind: 'iln', x: [3, 4, 5, 5] },
  'iln, relu, batch 2, 8 channels': { kind: 'iln', x: [2, 7, 6, 8], relu: true },
  'iln, large mean': { kind: 'iln', x: [1, 5, 5, 2], scale: 0.1, shift: 50, variants: FUSED },
  'iln, tiny variance': { kind: 'iln', x: [2, 7, 8, 4], scale: 1e-3, gradTolerance: 1e-4 },
  'iln, 45x31, 20 channels, residual': {
    kind: 'iln',
    x: [1, 45, 31, 20],
    residual: true,
    gradTolerance: 1e-4,
  },
  'adailn, batch 2, 3 channels': { kind: 'adailn', x: [2, 6, 5, 3] },
  'adailn, relu and residual': { kind: 'adailn', x: [2, 6, 5, 8], relu: true, residual: true },
  'adailn, constant plane': { kind: 'adailn', x: [1, 3, 5, 4], constantPlane: true, gradTolerance: 1e-4 },
  'adailn, two pixels': { kind: 'adailn', x: [1, 2, 1, 3], scale: 0.01, gradTolerance: 1e-4 },
  'adailn, 48x64, 16 channels': { kind: 'adailn', x: [1, 48, 64, 16], gradTolerance: 1e-4 },
  'adailn, 9x8, 272 channels': { kind: 'adailn', x: [1, 9, 8, 272], gradTolerance: 1e-4 },
  // More groups of channels than a workgroup has invocations.
  'adailn, 5x4, 1033 channels, batch 2': {
    ...{ kind: 'adailn', x: [2, 5, 4, 1033], gradTolerance: 1e-4, variants: FUSED },
  },
  'iln, 6x5, 40 channels, batch 3, relu and residual': {
    ...{ kind: 'iln', x: [3, 6, 5, 40], relu: true, residual: true },
  },
  'iln, 40 channels, large mean, batch 2': {
    ...{ kind: 'iln', x: [2, 9, 15, 40], scale: 0.1, shift: 50, variants: FUSED },
  },
  // The naive chain adds 1536 rows one by one, which is too rough for drho, a small rest here.
  'adailn, 32x48, 32 channels': {
    ...{ kind: 'adailn', x: [1, 32, 48, 32], variants: FUSED, gradTolerance: 1e-4 },
  },
  'adailn, 11x13, 64 channels, relu': { kind: 'adailn', x: [1, 11, 13, 64], relu: true, gradTolerance: 1e-4 },
  'adailn, 32 channels, tiny variance, batch 2': {
    ...{ kind: 'adailn', x: [2, 7, 8, 32], scale: 1e-3, gradTolerance: 1e-4 },
  },
  'adailn, 256 channels, two pixels': {
    ...{ kind: 'adailn', x: [1, 2, 1, 256], scale: 0.01, gradTolerance: 1e-4 },
  },
  'adailn, 36 channels, constant plane': {
    ...{ kind: 'adailn', x: [1, 3, 5, 36], constantPlane: true, gradTolerance: 1e-4 },
  },
  'instance, 32 channels, batch 2, relu and residual': {
    ...{ kind: 'instance', x: [2, 5, 7, 32], relu: true, residual: true },
  },
  'instance, 64 channels, large mean': {
    ...{ kind: 'instance', x: [1, 9, 15, 64], scale: 0.1, shift: 50, variants: FUSED },
  },
  'instance, 64 channels, 31x33': { kind: 'instance', x: [1, 31, 33, 64] },
  'instance, 20 channels, tiny variance, batch 4': {
    ...{ kind: 'instance', x: [4, 7, 8, 20], scale: 1e-3, gradTolerance: 1e-4 },
  },
  'instance, 64 channels, constant plane': {
    ...{ kind: 'instance', x: [1, 3, 5, 64], constantPlane: true, gradTolerance: 1e-4 },
  },
  'instance, 8 channels, two pixels, batch 9': {
    ...{ kind: 'instance', x: [9, 2, 1, 8], scale: 0.01, gradTolerance: 1e-4 },
  },
};

function inputsOf(config: Config, i: number): HostArrays {
  const { kind, x: shape, scale = 1, shift = 0 } = config;
  const c = shape[3];
  const x = values(shape, 400 + i, scale, shift);
  if (config.constantPlane) for (let at = 0; at < x.data.length; at += c) x.data[at] = 0.75;
  const weights = kind === 'iln' ? [c] : [shape[0], c];
  const affine = { rho: ratios(c, 500 + i), gamma: values(weights, 600 + i), beta: values(weights, 700 + i) };
  return {
    x,
    ...(kind === 'instance' ? {} : affine),
    ...(config.residual ? { residual: values(shape, 800 + i) } : {}),
  };
}

function run(kind: Config['kind'], t: Record<string, Tensor>, options: NormOptions): Tensor {
  if (kind === 'instance') return instanceNorm(t.x, options);
  return (kind === 'iln' ? iln : adailn)(t.x, t.rho, t.gamma, t.beta, options);
}

function normCase(name: string, config: Config, i: number): OpCase {
  const inputs = inputsOf(config, i);
  return {
    op: 'norm',
    name,
    inputs,
    run: (t) => [run(config.kind, t, { activation: config.relu ? 'relu' : 'none', residual: t.residual })],
    reference: (v) => [reference(v, config.relu ?? false)],
    grad: Object.keys(inputs),
    variants: config.variants ?? ['naive', ...FUSED],
    tolerance: config.tolerance,
    gradTolerance: config.gradTolerance,
  };
}

export const cases: OpCase[] = Object.entries(CONFIGS).map(([name, config], i) => normCase(name, config, i));

/** Cases with several parts for each invocation that joins them; too many elements for finite differences. */
export const large: OpCase[] = [
  normCase('iln, 21x25, 272 channels, relu', { kind: 'iln', x: [1, 21, 25, 272], relu: true }, 50),
  normCase(
    'adailn, 45x47, 80 channels, batch 2',
    { kind: 'adailn', x: [2, 45, 47, 80], gradTolerance: 1e-5 },
    51,
  ),
  normCase('instance, 38x29, 260 channels', { kind: 'instance', x: [1, 38, 29, 260], shift: 5 }, 52),
];
