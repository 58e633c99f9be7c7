import { beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../engine/device/device.ts';
import { vjp } from '../engine/grad/autograd.ts';
import { release, type Tensor } from '../engine/record/tensor.ts';
import { dispose, record, run } from '../engine/run/program.ts';
import { read, tensorFrom } from '../engine/run/transfer.ts';
import { allCases } from './cases/index.ts';
import {
  GRAD_TOLERANCE,
  type HostArray,
  type HostArrays,
  type OpCase,
  TOLERANCE,
  uniform,
  values,
} from './cases/types.ts';
import { useDevice } from './device.ts';
import { allowPoison, poison } from './engine/poison.ts';

const gpu = useDevice();
beforeAll(() => allowPoison(gpu.device));

/** ‖out − ref‖ / ‖ref‖; the norm of the difference itself where the reference is 0. */
function relativeError(out: Float32Array, ref: Float64Array | Float32Array): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < ref.length; i++) {
    difference += (out[i] - ref[i]) ** 2;
    norm += ref[i] ** 2;
  }
  return Math.sqrt(difference / (norm || 1));
}

interface Results {
  outputs: Float32Array[];
  grads: Float32Array[];
}

/**
 * Outputs and gradients on the GPU, from one program run twice: a replay must give the same bits, whatever
 * was left in the memory of its intermediates.
 */
async function onGpu(device: Device, c: OpCase, cotangents: HostArray[]): Promise<Results> {
  const upload = (v: HostArray, name: string) => tensorFrom(device, Float32Array.from(v.data), v.shape, name);
  const inputs: Record<string, Tensor> = {};
  for (const [name, v] of Object.entries(c.inputs)) inputs[name] = upload(v, name);
  const seeds = cotangents.map((v, i) => upload(v, `dy${i}`));
  const program = await record(device, () => {
    const ys = c.run(inputs);
    const targets = c.grad.map((name) => inputs[name]);
    const grads = targets.length > 0 ? vjp(ys, seeds, targets) : [];
    return Object.fromEntries([...ys.map((y, i) => [`y${i}`, y]), ...grads.map((g, i) => [`g${i}`, g])]);
  });
  const runOnce = async (): Promise<Results> => {
    run(program);
    const get = async (prefix: string, count: number) => {
      const list: Float32Array[] = [];
      for (let i = 0; i < count; i++) list.push(await read(device, program.outputs[`${prefix}${i}`]));
      return list;
    };
    return { outputs: await get('y', cotangents.length), grads: await get('g', c.grad.length) };
  };
  const first = await runOnce();
  poison(program);
  const second = await runOnce();
  expect(second, 'replay differs from the first run').toEqual(first);
  dispose(program);
  for (const tensor of [...Object.values(inputs), ...seeds]) release(device, tensor);
  return first;
}

interface Expected {
  outputs: HostArray[];
  cotangents: HostArray[];
  /** Finite differences found so far, by `input[k]`. */
  differences: Map<string, number>;
  /** Gradients by the naive kernels, where the op has any. */
  naive: Float32Array[] | null;
}

const expectations = new WeakMap<OpCase, Expected>();

/** The float64 side of a case, computed once for all of its variants. */
function expectedOf(c: OpCase): Expected {
  let known = expectations.get(c);
  if (!known) {
    const outputs = c.reference(c.inputs);
    const cotangents = outputs.map((y, i) => values(y.shape, 900 + i));
    known = { outputs, cotangents, differences: new Map(), naive: null };
    expectations.set(c, known);
  }
  return known;
}

function expectedGradient(c: OpCase, name: string, k: number): number {
  const { cotangents, differences } = expectedOf(c);
  const key = `${name}[${k}]`;
  if (!differences.has(key)) differences.set(key, finiteDifference(c, cotangents, name, k));
  return differences.get(key)!;
}

/** d sum(y·dy) / d input[k] by central differences of the float64 reference. */
function finiteDifference(c: OpCase, cotangents: HostArray[], name: string, k: number): number {
  const at = (h: number) => {
    const data = Float64Array.from(c.inputs[name].data);
    data[k] += h;
    const moved: HostArrays = { ...c.inputs, [name]: { ...c.inputs[name], data } };
    const ys = c.reference(moved);
    return ys.reduce((sum, y, i) => y.data.reduce((s, v, j) => s + v * cotangents[i].data[j], sum), 0);
  };
  const h = 1e-5;
  return (at(h) - at(-h)) / (2 * h);
}

const SAMPLES = 24;

/** Elements to differentiate by: the corners of the array, where padding and tiles end, then random ones. */
function sampled({ shape, data }: HostArray): number[] {
  if (data.length <= SAMPLES) return [...data.keys()];
  const ends = shape.map((d) => (d > 1 ? [0, d - 1] : [0]));
  let corners = [0];
  ends.forEach((choices, axis) => {
    corners = corners.flatMap((at) => choices.map((i) => at * shape[axis] + i));
  });
  const chosen = new Set(corners);
  const next = uniform(7);
  while (chosen.size < Math.max(SAMPLES, corners.length)) chosen.add(Math.floor(next() * data.length));
  return [...chosen];
}

function checkGradient(c: OpCase, name: string, grad: Float32Array): void {
  const scale = Math.sqrt(grad.reduce((s, g) => s + g * g, 0) / grad.length) || 1;
  const tolerance = c.gradTolerance ?? GRAD_TOLERANCE;
  for (const k of sampled(c.inputs[name])) {
    const expected = expectedGradient(c, name, k);
    const error = Math.abs(grad[k] - expected) / Math.max(scale, Math.abs(expected));
    expect(error, `d/d${name}[${k}]: ${grad[k]}, expected ${expected}`).toBeLessThan(tolerance);
  }
}

/** Every element against the naive kernels: finite differences look at a few. */
async function checkAgainstNaive(device: Device, c: OpCase, grads: readonly Float32Array[]): Promise<void> {
  const known = expectedOf(c);
  if (!known.naive) {
    const { variants } = device;
    device.variants = { [c.op]: 'naive' };
    known.naive = (await onGpu(device, c, known.cotangents)).grads;
    device.variants = variants;
  }
  const { naive } = known;
  c.grad.forEach((name, i) => {
    const error = relativeError(grads[i], naive[i]);
    expect(error, `whole gradient of ${name} against the naive one`).toBeLessThan(
      c.gradTolerance ?? GRAD_TOLERANCE,
    );
  });
}

async function check(device: Device, c: OpCase): Promise<void> {
  const { outputs: expected, cotangents } = expectedOf(c);
  const { outputs, grads } = await onGpu(device, c, cotangents);
  expected.forEach((y, i) => {
    expect(outputs[i].length, `elements of output ${i}`).toBe(y.data.length);
    expect(relativeError(outputs[i], y.data), `output ${i}`).toBeLessThan(c.tolerance ?? TOLERANCE);
  });
  c.grad.forEach((name, i) => {
    checkGradient(c, name, grads[i]);
  });
  if (c.variants?.includes('naive')) await checkAgainstNaive(device, c, grads);
}

for (const op of new Set(allCases.map((c) => c.op))) {
  describe(op, () => {
    for (const c of allCases.filter((item) => item.op === op)) {
      for (const variant of ['default', ...(c.variants ?? [])]) {
        test(`${c.name} (${variant})`, async () => {
          gpu.device.variants = variant === 'default' ? {} : { [op]: variant };
          await check(gpu.device, c);
          gpu.device.variants = {};
        });
      }
    }
  });
}
