import { copyFile, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../engine/device/device.ts';
import { adawnVersion, dawnVersion } from '../../engine/device/versions.node.ts';
import { readState } from '../../train/checkpoint.ts';
import { environmentChanges, kernelsHash, parseEnvironment } from '../../train/environment.ts';
import { train } from '../../train/loop.ts';
import { DEFAULT_RUN, parseConfig, type RunConfig } from '../../train/options.ts';
import { useDevice } from '../device.ts';
import { TINY } from '../engine/models.ts';
import { drawPictures } from './pictures.ts';

const gpu = useDevice();

let root: string;
let data: string;
let out: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-continuing-'));
  [data, out] = [join(root, 'data'), join(root, 'run')];
  await drawPictures(data, { train: 2, test: 1, size: 32 });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const CONFIG: RunConfig = { ...DEFAULT_RUN, model: TINY, iterations: 40 };

/** Trains one more step in the run's folder, as a continuation unless told otherwise; gives the warnings. */
async function step(config: RunConfig, device: Device = gpu.device, resume = true): Promise<string[]> {
  const warnings: string[] = [];
  const every = { sampleEvery: 0, saveEvery: 0, keep: 9 };
  const options = { out, resume, stopAfter: 1, threads: 0, tune: 'off' as const, ...every };
  const observer = { warning: (message: string) => warnings.push(message) };
  await train(device, config, options, [observer], new AbortController().signal);
  return warnings;
}

const newest = async () => {
  const names = (await readdir(join(out, 'checkpoints'))).sort();
  return readState(join(out, 'checkpoints', names[names.length - 1]));
};

describe('a continued run', () => {
  test('knows what decided its numbers, and where its pictures were', async () => {
    expect(await step({ ...CONFIG, data }, gpu.device, false)).toEqual([]);
    const { environment, config } = await newest();
    expect(environment).toMatchObject({
      driver: gpu.device.info.description,
      dawn: dawnVersion(),
      adawn: adawnVersion(),
      kernels: 'default',
      pictures: { trainA: 2, trainB: 2 },
    });
    expect(config).not.toHaveProperty('dataFolder');
    const kept = parseConfig(await readFile(join(out, 'config.json'), 'utf8'));
    expect(kept).toEqual({ ...config, dataFolder: data });
  });

  test('finds them there whatever they are called from here', async () => {
    expect(await step({ ...CONFIG, data: 'no such name', dataFolder: data })).toEqual([]);
  });

  test('asks for them where they are gone, and takes them from another place', async () => {
    const moved = join(root, 'moved');
    await rename(data, moved);
    await expect(step({ ...CONFIG, data, dataFolder: data })).rejects.toThrow(
      `there is no data set folder ${data}: if the pictures have moved, say where they are with --resume`,
    );
    expect(await step({ ...CONFIG, data: moved })).toEqual([]);
    data = moved;
  });

  test('says once why its numbers will not be those of a run without a pause', async () => {
    await copyFile(join(data, 'trainA', 'cat-0000.png'), join(data, 'trainA', 'cat-new.png'));
    const { vendor, architecture, device } = gpu.device.info;
    const info = { vendor, architecture, device, description: 'another driver' };
    const warnings = await step({ ...CONFIG, data }, { ...gpu.device, info } as unknown as Device);
    expect(warnings).toEqual([
      'from here on the numbers are not those of a run without a pause: ' +
        `driver was ${gpu.device.info.description} and is another driver; ` +
        'trainA had 2 pictures and has 3',
    ]);
  });

  test('says what becomes of the learning rate when the schedule changes', async () => {
    const [change] = (await step({ ...CONFIG, data, iterations: 6 })).filter((w) => w.includes('rate'));
    expect(change).toBe(
      'iteration 5 has learning rate 0.0000333, it would have been 0.0001: ' +
        'the schedule is now of 6 iterations and begins at 0.0001',
    );
  });
});

describe('the environment of a run', () => {
  test('names the kernels that a tuner chose, in whatever order', () => {
    const named = (tuned: Record<string, string>) => kernelsHash({ ...CONFIG, tuned });
    expect(named({})).toBe('default');
    expect(named({ a: 'x', b: 'y' })).toMatch(/^[0-9a-f]{8}$/);
    expect(named({ b: 'y', a: 'x' })).toBe(named({ a: 'x', b: 'y' }));
    expect(named({ a: 'x', b: 'z' })).not.toBe(named({ a: 'x', b: 'y' }));
  });

  test('is unknown in checkpoints that do not tell it', () => {
    for (const text of [undefined, '', '{', '{}', '{"adapter":"x"}'])
      expect(parseEnvironment(text)).toBeNull();
  });

  test('is compared part by part', async () => {
    const { environment: now } = await newest();
    expect(environmentChanges(now!, now!)).toEqual([]);
    const before = { ...now!, dawn: '0.1', kernels: '0badcafe' };
    expect(environmentChanges(before, now!)).toEqual([
      `dawn was 0.1 and is ${now!.dawn}`,
      'kernels was 0badcafe and is default',
    ]);
  });
});
