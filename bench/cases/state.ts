import {
  ADAM_HYPER,
  adamHyper,
  adamStep,
  allocate,
  type Device,
  dispose,
  elements,
  read,
  record,
  release,
  run,
  show,
  spectra,
  spectralNorm,
  type Tensor,
  upload,
  vjp,
} from '../../engine/index.ts';
import { adamReference } from '../../test/cases/adam.ts';
import { powerIteration, spectralReference } from '../../test/cases/spectralNorm.ts';
import { type HostArray, values } from '../../test/cases/types.ts';
import { relativeError } from '../prepare.ts';
import type { BenchCase, Prepared } from '../types.ts';

// Ops that change persistent tensors: checked on their first run, then timed while they go on.

const OPTIONS = { weightDecay: 1e-4 };
const LR = 1e-4;

function onGpu(device: Device, arrays: Record<string, HostArray>): Record<string, Tensor> {
  const entries = Object.entries(arrays).map(([name, { shape, data }]) => {
    const tensor = allocate(device, shape, name);
    upload(device, tensor, Float32Array.from(data));
    return [name, tensor] as const;
  });
  return Object.fromEntries(entries);
}

async function prepareAdam(device: Device, arrays: Record<string, HostArray>): Promise<Prepared> {
  const t = onGpu(device, arrays);
  const program = await record(device, () => {
    adamStep({ p: t.p, g: t.g, m: t.m, v: t.v, hyper: t.hyper, ...OPTIONS });
    return {};
  });
  return {
    steps: program.steps,
    async check() {
      run(program);
      const state = { p: arrays.p.data.slice(), m: arrays.m.data.slice(), v: arrays.v.data.slice() };
      adamReference(state, arrays.g.data, 1, LR, OPTIONS);
      const errors: number[] = [];
      for (const name of ['p', 'm', 'v'] as const) {
        errors.push(relativeError(await read(device, t[name]), state[name]));
      }
      return { error: Math.max(...errors), tolerance: 2e-6 };
    },
    dispose() {
      dispose(program);
      for (const tensor of Object.values(t)) release(device, tensor);
    },
  };
}

/** One step of Adam over a flat buffer: p, m and v read and written, g read. */
export function adamCase(count: number): BenchCase {
  return {
    name: `adam_${(count / 1e6).toPrecision(2)}M`,
    op: 'adam',
    pass: 'step',
    shape: show([count]),
    bytes: 7 * 4 * count,
    bound: 'memory',
    naive: { adam: 'naive' },
    open() {
      const v = values([count], 4, 0.01);
      const arrays = {
        p: values([count], 1),
        g: values([count], 2),
        m: values([count], 3, 0.01),
        v: { shape: v.shape, data: v.data.map(Math.abs) },
        hyper: { shape: [ADAM_HYPER], data: Float64Array.from(adamHyper(1, LR, OPTIONS)) },
      };
      return (device) => prepareAdam(device, arrays);
    },
  };
}

interface Weight {
  readonly w: HostArray;
  readonly u: HostArray;
  readonly v: HostArray;
  readonly dy: HostArray;
}

/** v after one power iteration and the gradient of w / sigma along dy, in float64. */
function spectralValues({ w, u, dy }: Weight): { v: Float64Array; dw: Float64Array } {
  const state = powerIteration(w, u.data);
  const y = spectralReference(w, state.u, state.v).data;
  const dot = y.reduce((sum, value, i) => sum + value * dy.data[i], 0);
  const columns = state.v.length;
  const outer = (i: number) => state.u[Math.floor(i / columns)] * state.v[i % columns];
  return { v: state.v, dw: dy.data.map((value, i) => (value - dot * outer(i)) / state.sigma) };
}

async function prepareSpectral(
  device: Device,
  arrays: Weight,
  backward: boolean,
  expected: ReturnType<typeof spectralValues>,
): Promise<Prepared> {
  const t = onGpu(device, { ...arrays });
  const program = await record(device, (): Record<string, Tensor> => {
    if (!backward) return { v: spectra([{ w: t.w, u: t.u, v: t.v }], { calls: 1, update: true })[0].v };
    const y = spectralNorm(t.w, t.u, t.v, { update: true });
    const [dw] = vjp([y], [t.dy], [t.w]);
    return { y, dw };
  });
  // The gradient's own launches are the last ones, from the first that reads dy.
  const forward = program.steps.findIndex(({ launch }) => launch.bindings.includes(t.dy));
  return {
    steps: backward ? program.steps.slice(forward) : program.steps,
    async check() {
      run(program);
      const name = backward ? 'dw' : 'v';
      const found = await read(device, program.outputs[name]);
      return { error: relativeError(found, expected[name]), tolerance: 2e-5 };
    },
    dispose() {
      dispose(program);
      for (const tensor of Object.values(t)) release(device, tensor);
    },
  };
}

/**
 * A power iteration, which reads the weight twice; and the gradient of w / sigma, which reads two and writes
 * one (a convolution under spectral norm never computes that).
 */
export function spectralCases(shape: readonly number[]): BenchCase[] {
  const columns = elements(shape) / shape[0];
  return ['forward', 'backward'].map((pass) => ({
    name: `spectralNorm_${shape[0]}x${columns}`,
    op: 'spectralNorm',
    pass,
    shape: show(shape),
    bytes: (pass === 'forward' ? 2 : 4) * 4 * elements(shape),
    bound: 'memory' as const,
    naive: { spectralNorm: 'naive' },
    open() {
      const arrays = {
        ...{
          w: values(shape, 1, 0.1),
          u: values([shape[0]], 2),
          v: values([columns], 3),
          dy: values(shape, 4),
        },
      };
      const expected = spectralValues(arrays);
      return (device: Device) => prepareSpectral(device, arrays, pass === 'backward', expected);
    },
  }));
}
