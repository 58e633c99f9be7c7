import { afterEach, describe, expect, test } from 'vitest';
import { openDevice } from '../engine/device/device.node.ts';
import { closeDevice } from '../engine/device/device.ts';
import { usePrecision } from '../engine/device/precision.ts';
import { vjp } from '../engine/grad/autograd.ts';
import { conv2d } from '../engine/ops/conv2d.ts';
import { zeros } from '../engine/ops/fill.ts';
import { release, type Tensor } from '../engine/record/tensor.ts';
import { trace } from '../engine/run/program.ts';
import { evaluate, tensorFrom } from '../engine/run/transfer.ts';
import { settleKernels } from '../train/kernels.ts';
import { DEFAULT_RUN, parseConfig } from '../train/options.ts';
import { cases } from './cases/conv2d.ts';
import { type OpCase, values } from './cases/types.ts';
import { useDevice } from './device.ts';
import { TINY } from './engine/models.ts';
import { lossesOf } from './train/session.ts';

const gpu = useDevice({ mixed: true });
afterEach(() => {
  gpu.device.variants = {};
  usePrecision(gpu.device, 'full');
});

/** A 16-bit float has 11 binary places: operands are off by 2^-11 at most, their sums by as much. */
const TOLERANCE = 1e-3;
/** Gradients are off by that of dy, and by that of y where an activation's slope depends on it. */
const GRADIENTS = 2e-3;

function relativeError(out: Float32Array, ref: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < ref.length; i++) {
    difference += (out[i] - ref[i]) ** 2;
    norm += ref[i] ** 2;
  }
  return Math.sqrt(difference / (norm || 1));
}

/** Outputs and gradients of a case, its cotangents multiplied by `scale`. */
async function compute(c: OpCase, variant: string, scale = 1): Promise<Record<string, Float32Array>> {
  const { device } = gpu;
  device.variants = variant === '' ? {} : { conv2d: variant };
  const upload = (name: string, { data, shape }: ReturnType<typeof values>) =>
    tensorFrom(device, Float32Array.from(data), shape, name);
  const inputs = Object.fromEntries(Object.entries(c.inputs).map(([name, v]) => [name, upload(name, v)]));
  const { shape } = c.reference(c.inputs)[0];
  const dy = upload('dy', values(shape, 900, scale));
  const found = await evaluate(device, () => {
    const [y] = c.run(inputs);
    const grads = vjp(
      [y],
      [dy],
      c.grad.map((name) => inputs[name]),
    );
    return { y, ...Object.fromEntries(grads.map((g, i): [string, Tensor] => [`d${c.grad[i]}`, g])) };
  });
  for (const tensor of [...Object.values(inputs), dy]) release(device, tensor);
  return found;
}

const named = (name: string) => cases.find((c) => c.name === name)!;

describe('a convolution in mixed precision', () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', async (_, c) => {
    usePrecision(gpu.device, 'mixed');
    const found = await compute(c, 'gather/tiles/f16');
    expect(relativeError(found.y, c.reference(c.inputs)[0].data)).toBeLessThan(TOLERANCE);
    // The naive kernel's gradients are checked against float64 in ops.test.ts.
    const exact = await compute(c, 'naive');
    for (const name of Object.keys(exact)) {
      expect(relativeError(found[name], exact[name]), name).toBeLessThan(GRADIENTS);
    }
    expect(relativeError(found.y, exact.y), 'is not float32').toBeGreaterThan(1e-6);
  });

  test('by large tiles', async () => {
    const c = named('3x3, 132 to 136, batch 2');
    const found = await compute(c, 'gather/tiles/f16/large');
    const exact = await compute(c, 'naive');
    for (const name of Object.keys(exact)) {
      expect(relativeError(found[name], exact[name]), name).toBeLessThan(TOLERANCE);
    }
  });

  test('in parts of sums, as a GPU gets them', async () => {
    const device = gpu.device as { isCpu: boolean };
    const { isCpu } = device;
    const c = named('3x3, 132 to 136, batch 2');
    const exact = await compute(c, 'naive');
    device.isCpu = false;
    const found = await compute(c, 'gather/tiles/f16').finally(() => Object.assign(device, { isCpu }));
    for (const name of Object.keys(exact)) {
      expect(relativeError(found[name], exact[name]), name).toBeLessThan(TOLERANCE);
    }
  });

  test.each([1e-7, 1e-20, 1e6])('keeps gradients of magnitude %s', async (scale) => {
    const c = named('4x4 stride 2, bias, leaky');
    usePrecision(gpu.device, 'mixed');
    const found = await compute(c, '', scale);
    const exact = await compute(c, 'naive', scale);
    for (const name of ['dx', 'dw']) {
      expect(relativeError(found[name], exact[name]), name).toBeLessThan(TOLERANCE);
    }
  });
});

describe('training in mixed precision', () => {
  test('has losses near those of full precision', async () => {
    const full = await lossesOf(gpu.device, TINY);
    usePrecision(gpu.device, 'mixed');
    const mixed = await lossesOf(gpu.device, TINY);
    expect(mixed).not.toEqual(full);
    expect(mixed).toHaveLength(full.length);
    mixed.forEach((losses, step) => {
      for (const [name, value] of Object.entries(losses)) {
        const expected = full[step][name];
        expect(Math.abs(value - expected) / Math.abs(expected), `${name} ${step + 1}`).toBeLessThan(5e-3);
      }
    });
  });

  test('is refused where the adapter has no 16-bit floats, and asks for nothing by default', async () => {
    const device = await openDevice({ minimal: true });
    try {
      expect(device.precision).toBe('full');
      expect(() => usePrecision(device, 'mixed')).toThrow(
        /^mixed precision needs 16-bit floats .*shader-f16.*does not offer: compute in full precision$/,
      );
      expect(device.precision).toBe('full');
    } finally {
      await closeDevice(device);
    }
  });
});

test('a run says its precision, and a continued one has it again', async () => {
  const options = { out: '', resume: false, stopAfter: 1, sampleEvery: 0, saveEvery: 0, keep: 1 } as const;
  const asked = { ...DEFAULT_RUN, model: TINY, precision: 'mixed' as const };
  const config = await settleKernels(gpu.device, asked, { ...options, tune: 'off' }, []);
  expect(gpu.device.precision).toBe('mixed');
  const kept = parseConfig(JSON.stringify(config))!;
  expect(kept.precision).toBe('mixed');
  await settleKernels(gpu.device, DEFAULT_RUN, { ...options, resume: true }, []);
  expect(gpu.device.precision).toBe('full');
  await settleKernels(gpu.device, kept, { ...options, resume: true }, []);
  expect(gpu.device.precision).toBe('mixed');
});

test('no kernel of full precision has 16-bit floats', () => {
  const kernelsOf = (precision: 'full' | 'mixed') => {
    usePrecision(gpu.device, precision);
    const { launches } = trace(gpu.device, () => {
      const y = conv2d(zeros([1, 8, 8, 8]), zeros([8, 3, 3, 8]), null, { pad: 1 });
      return { y };
    });
    return launches.map(({ kernel }) => String(kernel?.constants.OPERANDS));
  };
  expect(kernelsOf('full')).not.toContain('operandsHalf');
  expect(kernelsOf('mixed')).toContain('operandsHalf');
});
