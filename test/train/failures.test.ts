import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openDevice } from '../../engine/device/device.node.ts';
import { closeDevice, memory } from '../../engine/device/device.ts';
import { CapacityError, DeviceError } from '../../engine/errors.ts';
import { recipeNamed } from '../../model/recipes.ts';
import { train } from '../../train/loop.ts';
import { expectRoom } from '../../train/memoryPlan.ts';
import type { Observer } from '../../train/observers.ts';
import { DEFAULT_RUN, type LoopOptions, type RunConfig } from '../../train/options.ts';
import { useDevice } from '../device.ts';
import { TINY } from '../engine/models.ts';

const gpu = useDevice();
const CONFIG: RunConfig = { ...DEFAULT_RUN, data: 'toy-cat2dog', model: TINY, iterations: 1000 };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-failures-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function options(out: string, more: Partial<LoopOptions> = {}): LoopOptions {
  const every = { sampleEvery: 0, saveEvery: 2, keep: 3 };
  return { out, resume: false, stopAfter: 4, threads: 0, tune: 'off', ...every, ...more };
}

/** Trains; the message of what it throws, or '' where it goes well. */
async function tryTraining(
  config: RunConfig,
  loop: LoopOptions,
  observer: Observer = {},
  device = gpu.device,
) {
  const { signal } = new AbortController();
  return train(device, config, loop, [observer], signal).then(
    () => '',
    (error: Error) => error.message,
  );
}

const checkpoints = (out: string) => readdir(join(out, 'checkpoints'));

describe('a run that cannot go on keeps what it has saved and says how to go on', () => {
  test('a loss that is no number', async () => {
    const out = join(root, 'diverged');
    expect(await tryTraining(CONFIG, options(out))).toBe('');
    const before = await readFile(join(out, 'checkpoints', 'step_0000004.safetensors'));
    const again = options(out, { resume: true, saveEvery: 1, stopAfter: 10 });
    const message = await tryTraining({ ...CONFIG, lr: 1e30 }, again);
    expect(message).toMatch(/^(loss [DG]\.\S+|weights of \S+( and \S+)*) became (NaN|-?Infinity)/);
    expect(message).toMatch(/ at iteration [56]; the last good /);
    expect(message).toContain('step_0000004.safetensors: go on from it with --resume, with a smaller --lr');
    expect(await checkpoints(out)).toEqual(['step_0000002.safetensors', 'step_0000004.safetensors']);
    const after = await readFile(join(out, 'checkpoints', 'step_0000004.safetensors'));
    expect(after.equals(before)).toBe(true);
    // And so it does go on; metrics.csv has every iteration once.
    expect(await tryTraining(CONFIG, options(out, { resume: true, stopAfter: 1 }))).toBe('');
    const lines = (await readFile(join(out, 'metrics.csv'), 'utf8')).trimEnd().split('\n').slice(1);
    expect(lines.map((line) => Number.parseInt(line, 10))).toEqual([1, 2, 3, 4, 5]);
  });

  test('a loss that is no number before anything was saved', async () => {
    const out = join(root, 'hopeless');
    const message = await tryTraining({ ...CONFIG, lr: 1e30 }, options(out, { stopAfter: 10, saveEvery: 0 }));
    expect(message).toMatch(/; no checkpoint was written yet: start again, with a smaller --lr$/);
    expect(await checkpoints(out)).toEqual([]);
  });

  test('a lost device', async () => {
    const device = await openDevice();
    const out = join(root, 'lost');
    const lose: Observer = { checkpoint: () => device.gpu.destroy() };
    const message = await tryTraining(CONFIG, options(out), lose, device);
    expect(message).toMatch(/^the GPU device was lost \(.+\); the last good checkpoint is \S+step_0000002/);
    expect(await checkpoints(out)).toEqual(['step_0000002.safetensors']);
    await closeDevice(device);
  });

  test('a full disk', async ({ skip }) => {
    const disk = join(root, 'disk');
    await mkdir(disk);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' });
    } catch {
      skip('mounting a small disk needs root');
    }
    try {
      const out = join(disk, 'run');
      const message = await tryTraining(CONFIG, options(out, { stopAfter: 20 }));
      expect(message).toMatch(/^cannot write \S+: no space left on the device/);
      const saved = await checkpoints(out);
      expect(message).toContain(`the last good checkpoint is ${join(out, 'checkpoints', saved.at(-1)!)}`);
      // Nothing half written is left, and with room the run goes on.
      expect(saved.every((name) => /^step_\d+\.safetensors$/.test(name))).toBe(true);
      execFileSync('mount', ['-o', 'remount,size=9m', disk]);
      expect(await tryTraining(CONFIG, options(out, { resume: true, stopAfter: 1 }))).toBe('');
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

describe('what a run cannot write or show', () => {
  /** Trains four steps with a grid each two; what observers hear, in order. */
  async function story(out: string, more: Observer = {}) {
    const heard: string[] = [];
    const observer: Observer = {
      ...more,
      async checkpoint(step, file) {
        heard.push(`checkpoint ${step}`);
        await more.checkpoint?.(step, file);
      },
      sample: (step) => void heard.push(`sample ${step}`),
      warning: (message) => void heard.push(message),
    };
    const message = await tryTraining(CONFIG, options(out, { sampleEvery: 2 }), observer);
    expect(message).toBe('');
    return heard;
  }

  test('the pictures: it saves before it makes them, and goes on without', async () => {
    const out = join(root, 'pictures');
    const { pool } = gpu.device;
    const acquire = pool.acquire.bind(pool);
    let calls = 0;
    const spy = vi.spyOn(pool, 'acquire').mockImplementation((bytes, label) => {
      if (label === 'sample' && calls++ === 0) throw new DeviceError('the GPU is out of memory');
      return acquire(bytes, label);
    });
    const before = memory(gpu.device).live;
    expect(await story(out)).toEqual([
      'checkpoint 2',
      'no sample pictures at iteration 2: the GPU is out of memory',
      'checkpoint 4',
      'sample 4',
    ]);
    spy.mockRestore();
    expect(memory(gpu.device).live).toBe(before);
  });

  test('the folder of the pictures', async () => {
    const out = join(root, 'nowhere');
    const heard = await story(out, {
      async checkpoint(step) {
        if (step !== 2) return;
        await rm(join(out, 'samples'), { recursive: true });
        await writeFile(join(out, 'samples'), 'a file where the folder was');
      },
    });
    expect(heard).toHaveLength(4);
    expect(heard[1]).toMatch(/^no sample pictures at iteration 2: \S+A2B_0000002\.png cannot be written: /);
    expect(heard[3]).toMatch(/^no sample pictures at iteration 4: /);
  });

  test('anything else: what was trained is saved before the run ends', async () => {
    const out = join(root, 'fault');
    const fault: Observer = {
      steps() {
        throw new TypeError('a fault of our own');
      },
    };
    expect(await tryTraining(CONFIG, options(out, { saveEvery: 0 }), fault)).toBe('a fault of our own');
    expect(await checkpoints(out)).toHaveLength(1);
  });
});

describe('a run that does not fit', () => {
  test('says so before any work, with options that would', async () => {
    const out = join(root, 'huge');
    const model = { ...DEFAULT_RUN.model, light: false, size: 4096 };
    const message = await tryTraining({ ...CONFIG, model }, options(out));
    expect(message).toMatch(
      /(needs .*GiB of GPU memory|MiB in one binding|workgroups in a row).*; these fit: .*--size \d+ \(/,
    );
    await expect(readdir(out)).rejects.toThrow(); // it was not even begun
  });

  test('for which the memory was taken meanwhile names what would need less', async () => {
    const { pool } = gpu.device;
    const { acquire } = pool;
    pool.acquire = () => {
      throw new CapacityError('the GPU is out of memory');
    };
    try {
      const model = { ...TINY, light: false, size: 128, disLayers: [3, 3] as const, batch: 2 };
      const message = await tryTraining({ ...CONFIG, model }, options(join(root, 'taken')));
      expect(message).toBe(
        'the GPU is out of memory: use --light, --checkpoint-activations, a smaller --size, --batch',
      );
    } finally {
      pool.acquire = acquire;
    }
  });

  test('names the binding that is too big', async () => {
    const { maxBinding } = gpu.device;
    gpu.device.maxBinding = 2 ** 15;
    try {
      await expect(expectRoom(gpu.device, recipeNamed('ugatit'), TINY)).rejects.toThrow(
        /in one binding, this adapter allows/,
      );
    } finally {
      gpu.device.maxBinding = maxBinding;
    }
  });
});
