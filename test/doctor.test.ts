import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { openDevice } from '../engine/device/device.node.ts';
import { closeDevice, memory, type Precision } from '../engine/device/device.ts';
import { usePrecision } from '../engine/device/precision.ts';
import { recipeNamed } from '../model/recipes.ts';
import { DEFAULTS } from '../model/ugatit/ugatit.ts';
import { settleKernels } from '../train/kernels.ts';
import { fittingOptions, memoryNeed } from '../train/memoryPlan.ts';
import { DEFAULT_RUN } from '../train/options.ts';
import { useDevice } from './device.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs the doctor as a user would; its output, also where it fails. */
async function doctor(args: string[], env: Record<string, string> = {}) {
  const run = promisify(execFile)(process.execPath, ['--import', 'tsx', 'cli/doctor.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  return run.catch((failed: { stdout: string; stderr: string; code: number }) => failed);
}

describe('the doctor', () => {
  test('says which adapter is used and how fast it is', async () => {
    const { stdout } = await doctor(['--json']);
    const report = JSON.parse(stdout) as Record<string, string>;
    expect(report.kernels).toBe('compute the right answer');
    expect(Number.parseFloat(report.arithmetic)).toBeGreaterThan(0.5);
    expect(Number.parseFloat(report.bandwidth)).toBeGreaterThan(0.1);
    expect(report.adapter).not.toBe('');
  });

  test('plans the full model without running it', async () => {
    const { stdout } = await doctor(['--plan', '--json', '--full', '--size', '256', '--ch', '64']);
    const report = JSON.parse(stdout) as Record<string, string>;
    // 670,761,088 parameters (all six networks), of which a copy in gradients and two in Adam.
    expect(report.weights).toBe('2.50 GiB');
    expect(report.Adam).toBe('5.00 GiB');
    expect(report.gradients).toBe('2.50 GiB');
    expect(Number.parseFloat(report['in all'])).toBeGreaterThan(10.5);
  });

  test('refuses an impossible model in one sentence, and plans at the precision asked for', async () => {
    const bad = (await doctor(['--plan', '--size', '63'])) as { stderr: string; code: number };
    expect([bad.code, bad.stderr]).toEqual([
      1,
      'error: --size must be a multiple of 4, got 63: use --size 64\n',
    ]);
    const { stdout } = await doctor(['--plan', '--json', '--precision', 'mixed']);
    expect((JSON.parse(stdout) as Record<string, string>).training).toContain(', mixed, on ');
  });

  test.runIf(process.platform === 'linux')('tells what to install where there is no adapter', async () => {
    const none = { VK_DRIVER_FILES: '/dev/null', VK_ICD_FILENAMES: '/dev/null' };
    const failed = await doctor([], none);
    expect(failed.stderr).toMatch(/error: no WebGPU adapter found/);
    expect(failed.stderr).toMatch(/npm run setup/);
    expect(failed.stderr).not.toMatch(/at .*\.ts:/);
  });
});

const recipe = recipeNamed('ugatit');

describe('the plan of a training', () => {
  const gpu = useDevice();
  const small = { ...DEFAULTS, size: 32, ch: 4, nRes: 1, disLayers: [4, 3] as const };

  test('allocates nothing on the device', () => {
    const before = memory(gpu.device);
    expect(memoryNeed(gpu.device, recipe, small).total).toBeGreaterThan(0);
    expect(memory(gpu.device)).toEqual(before);
  });

  test('grows with the batch, and names milder options', () => {
    const one = memoryNeed(gpu.device, recipe, small);
    const two = memoryNeed(gpu.device, recipe, { ...small, batch: 2 });
    expect(two.activations).toBeGreaterThan(1.5 * one.activations);
    expect(two.weights).toBe(one.weights);
    const options = fittingOptions(gpu.device, recipe, { ...small, batch: 2 }, one.total);
    expect(options[0]).toMatch(/^--batch 1 /);
  });

  test('is made at the precision of the run, which the check before a run asks for too', async () => {
    const { device } = gpu;
    const config = { ...small, size: 64, ch: 16, disLayers: [5, 4] as const };
    const full = memoryNeed(device, recipe, config).total;
    usePrecision(device, 'mixed');
    const mixed = memoryNeed(device, recipe, config).total;
    usePrecision(device, 'full');
    expect(mixed).not.toBe(full);
    // A machine with room for one of them.
    const room = vi.spyOn(process, 'constrainedMemory').mockReturnValue(Math.min(mixed, full));
    const options = { out: '', resume: false, stopAfter: 1, sampleEvery: 0, saveEvery: 0, keep: 1 };
    const settle = (precision: Precision) =>
      settleKernels(device, { ...DEFAULT_RUN, model: config, precision }, { ...options, tune: 'off' }, []);
    const [fits, not] = (mixed < full ? ['mixed', 'full'] : ['full', 'mixed']) as Precision[];
    await settle(fits);
    await expect(settle(not)).rejects.toThrow(/training needs .* of GPU memory/);
    room.mockRestore();
    usePrecision(device, 'full');
  });

  test('names recomputed blocks first where they suffice, and not where they are in use', () => {
    const config = { ...small, size: 64, nRes: 4 };
    const twice = { ...config, checkpointActivations: true };
    const least = memoryNeed(gpu.device, recipe, twice);
    expect(least.total).toBeLessThan(memoryNeed(gpu.device, recipe, config).total);
    expect(fittingOptions(gpu.device, recipe, config, least.total)[0]).toMatch(
      /^--checkpoint-activations \(/,
    );
    expect(fittingOptions(gpu.device, recipe, config, least.total - 1).join()).not.toContain('checkpoint');
    expect(fittingOptions(gpu.device, recipe, twice, 2 * least.total).join()).not.toContain('checkpoint');
  });

  test('refuses a tensor that exceeds the adapter, before anything is allocated', async () => {
    const device = await openDevice({ minimal: true });
    const { maxBinding } = device;
    device.maxBinding = 2 ** 15;
    expect(() => memoryNeed(device, recipe, small)).toThrow(/in one binding/);
    device.maxBinding = maxBinding;
    await closeDevice(device);
  });
});
