import type { Device } from '../../engine/device/device.ts';
import { vjp } from '../../engine/grad/autograd.ts';
import { ADAM_HYPER, adamHyper, adamStep, clampRange } from '../../engine/ops/adam.ts';
import { spectralNorm } from '../../engine/ops/spectralNorm.ts';
import { allocate, release, type Tensor } from '../../engine/record/tensor.ts';
import { dispose, record, run } from '../../engine/run/program.ts';
import { read, tensorFrom, upload } from '../../engine/run/transfer.ts';
import { learningRate } from '../../train/schedule.ts';
import { type Golden, nhwc, normError, toNhwc } from './golden.ts';
import { type OpError, uploadHere, valuesHere } from './ops.ts';

/** Ops that keep state from call to call. */
export const STATEFUL = ['spectral_norm', 'adam', 'rho_clip', 'lr'] as const;

/** v runs over a kernel's (in,k,k): channels last here. */
function vectorHere(golden: Golden, name: string, weight: readonly number[]): Float64Array {
  const values = golden.f64(name);
  return weight.length === 4 ? toNhwc(values, [1, ...weight.slice(1)]) : values;
}

async function spectralNormErrors(device: Device, golden: Golden, path: string): Promise<OpError[]> {
  const errors: OpError[] = [];
  const shape = golden.shape(`${path}/w`);
  const w = uploadHere(device, golden, `${path}/w`);
  const u = uploadHere(device, golden, `${path}/u0`);
  const rest = Float32Array.from(vectorHere(golden, `${path}/v0`, shape));
  const v = tensorFrom(device, rest, [rest.length], 'v');
  const dy = allocate(device, shape.length === 4 ? nhwc(shape) : shape, 'dy');
  const step = await record(device, () => {
    const y = spectralNorm(w, u, v, { update: true });
    return { y, dw: vjp([y], [dy], [w])[0] };
  });
  const frozen = await record(device, () => ({ y: spectralNorm(w, u, v, { update: false }) }));
  const compare = (name: string, out: Float32Array | number[], ref: Float64Array) => {
    errors.push({ op: 'spectral_norm', name: `${path}/${name}`, error: normError(out, ref) });
  };
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  for (const it of ['it1', 'it2', 'it3']) {
    upload(device, dy, Float32Array.from(valuesHere(golden, `${path}/${it}.gw_sn`)));
    run(step);
    const normalised = await read(device, step.outputs.y);
    compare(`${it}.w_sn`, normalised, valuesHere(golden, `${path}/${it}.w_sn`));
    compare(`${it}.g_w`, await read(device, step.outputs.dw), valuesHere(golden, `${path}/${it}.g_w`));
    compare(`${it}.u`, await read(device, u), golden.f64(`${path}/${it}.u`));
    compare(`${it}.v`, await read(device, v), vectorHere(golden, `${path}/${it}.v`, shape));
    const sigma = norm(golden.f32(`${path}/w`)) / norm(normalised);
    compare(`${it}.sigma`, [sigma], golden.f64(`${path}/${it}.sigma`));
  }
  run(frozen);
  compare('eval.w_sn', await read(device, frozen.outputs.y), valuesHere(golden, `${path}/eval.w_sn`));
  for (const program of [step, frozen]) dispose(program);
  for (const tensor of [w, u, v, dy]) release(device, tensor);
  return errors;
}

async function adamErrors(device: Device, golden: Golden, path: string): Promise<OpError[]> {
  const errors: OpError[] = [];
  const meta = golden.metadata[path] as { lr: number[]; weight_decay: number };
  const p = uploadHere(device, golden, `${path}/p0`);
  const [m, v] = ['m', 'v'].map((name) => tensorFrom(device, new Float32Array(p.shape[0]), p.shape, name));
  const g = allocate(device, p.shape, 'g');
  const hyper = allocate(device, [ADAM_HYPER], 'hyper');
  const program = await record(device, () => {
    adamStep({ p, g, m, v, hyper, weightDecay: meta.weight_decay });
    return {};
  });
  for (const [i, lr] of meta.lr.entries()) {
    const it = `${path}/it${i + 1}`;
    upload(device, g, golden.f32(`${it}.g`));
    upload(device, hyper, adamHyper(i + 1, lr));
    run(program);
    for (const [name, tensor] of Object.entries({ p, m, v })) {
      const error = normError(await read(device, tensor), golden.f64(`${it}.${name}`));
      errors.push({ op: 'adam', name: `${it}.${name}`, error });
    }
  }
  dispose(program);
  for (const tensor of [p, m, v, g, hyper]) release(device, tensor);
  return errors;
}

async function clipErrors(device: Device, golden: Golden): Promise<OpError[]> {
  const x: Tensor = uploadHere(device, golden, 'rho_clip/x');
  const program = await record(device, () => {
    clampRange(x, 0, 1);
    return {};
  });
  run(program);
  const error = normError(await read(device, x), golden.f64('rho_clip/y'));
  dispose(program);
  release(device, x);
  return [{ op: 'rho_clip', name: 'rho_clip/y', error }];
}

/**
 * Our rate against the authors', as a share of the first rate. Where theirs falls below 0 (odd counts,
 * resumed runs) ours stays at 0. Their resumed run is one decrement ahead from its first iteration on; ours
 * goes on as if it had never stopped, so their rate of iteration k is ours of k + 1.
 */
function rateErrors(golden: Golden): OpError[] {
  const { lr0 } = golden.metadata.lr as { lr0: number };
  const compare = (name: string, step: (i: number) => number, iterations: number) => {
    const theirs = golden.f64(`lr/${name}`).map((lr) => Math.max(0, lr));
    const off = theirs.map((lr, i) => Math.abs(learningRate(step(i), iterations, lr0) - lr) / lr0);
    return { op: 'lr', name: `lr/${name}`, error: Math.max(...off) };
  };
  const steps = golden.f32('lr/iter1e6_step');
  return [
    compare('iter10', (i) => i + 1, 10),
    compare('iter11', (i) => i + 1, 11),
    compare('iter10_resume7', (i) => 7 + i + 1, 10),
    compare('iter1e6', (i) => steps[i], 1_000_000),
  ];
}

/** Error of everything recorded of one case of a stateful op. */
export async function statefulErrors(device: Device, golden: Golden, path: string): Promise<OpError[]> {
  const [op] = path.split('/');
  if (op === 'spectral_norm') return spectralNormErrors(device, golden, path);
  if (op === 'adam') return adamErrors(device, golden, path);
  return op === 'lr' ? rateErrors(golden) : clipErrors(device, golden);
}
