import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice } from '../../engine/device/device.node.ts';
import { closeDevice, type Device } from '../../engine/device/device.ts';
import { createModel, freeModel } from '../../model/model.ts';
import { ugatit } from '../../model/ugatit/ugatit.ts';
import { useDevice } from '../device.ts';
import { lossesOf } from '../train/session.ts';
import { TINY } from './models.ts';
import { allowPoison, poison } from './poison.ts';

const gpu = useDevice();

type Losses = Record<string, number>[];

/**
 * The first step is the same but for rounding; Adam turns rounding of tiny gradients into whole steps after
 * it.
 */
const ALLOWED = [1e-5, 1e-3];

function expectSame(found: Losses, expected: Losses): void {
  expected.forEach((losses, step) => {
    for (const [name, value] of Object.entries(losses)) {
      const error = Math.abs(found[step][name] - value) / Math.max(Math.abs(value), 1e-3);
      expect(error, `${name} of step ${step + 1}: ${found[step][name]}, expected ${value}`).toBeLessThan(
        ALLOWED[step],
      );
    }
  });
}

describe('a training step', () => {
  let expected: Losses;
  beforeAll(async () => {
    expected = await lossesOf(gpu.device, TINY);
  });

  test('repeats to the bit', async () => {
    expect(await lossesOf(gpu.device, TINY)).toEqual(expected);
  });

  describe('on an adapter with the default limits and no optional feature', () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice({ minimal: true });
    });
    afterAll(() => closeDevice(device));

    test('gives the same losses', async () => {
      expect(device.subgroupSize).toBe(0);
      expect(device.gpu.limits.maxStorageBuffersPerShaderStage).toBe(8);
      expectSame(await lossesOf(device, TINY), expected);
    });
  });

  test('gives the same losses with kernels for another adapter, and reads nothing unwritten', async () => {
    const device = await openDevice();
    allowPoison(device);
    try {
      expect(await lossesOf(device, TINY, poison)).toEqual(expected);
      Object.assign(device, { isCpu: !device.isCpu });
      expectSame(await lossesOf(device, TINY, poison), expected);
    } finally {
      await closeDevice(device);
    }
  });
});

describe('the big linear layer of the full model', () => {
  const full = { ...TINY, ch: 12, light: false };

  test('does not depend on one binding that holds it', async () => {
    const whole = await lossesOf(gpu.device, full);
    const { maxBinding } = gpu.device;
    gpu.device.maxBinding = 240 * 1024; // the layer has 576 KiB
    try {
      const model = createModel(gpu.device, ugatit, full);
      const blocks = model.trained.G.ensemble.parameters.tensors.get('genA2B.FC.0.weight')!;
      freeModel(model);
      expect(blocks.length).toBeGreaterThan(2);
      expectSame(await lossesOf(gpu.device, full), whole);
    } finally {
      gpu.device.maxBinding = maxBinding;
    }
  });
});
