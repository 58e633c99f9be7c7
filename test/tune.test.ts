import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { choiceKey } from '../engine/device/choice.ts';
import type { Device } from '../engine/device/device.ts';
import { paperDevice } from '../engine/device/paper.ts';
import { adawnVersion, dawnVersion } from '../engine/device/versions.node.ts';
import { vjp } from '../engine/grad/autograd.ts';
import { choicesOf, tune } from '../engine/measure/tune.ts';
import { adapterKey, readTuned, tuneCachePath, writeTuned } from '../engine/measure/tuneCache.node.ts';
import { defaultMode, tuneFor } from '../engine/measure/tuning.node.ts';
import { conv2d } from '../engine/ops/conv2d.ts';
import { allocate } from '../engine/record/tensor.ts';
import { trace } from '../engine/run/program.ts';
import { DEFAULTS } from '../model/ugatit/ugatit.ts';
import { settleKernels } from '../train/kernels.ts';
import { DEFAULT_RUN } from '../train/options.ts';
import { useDevice } from './device.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const gpu = useDevice();

/** A 3x3 layer that several kernels can compute, and one of 7x7 that Winograd cannot; it learns nothing. */
function work(paper: Device): void {
  const [x, w] = [allocate(paper, [1, 8, 8, 16], 'x'), allocate(paper, [16, 3, 3, 16], 'w')];
  const dz = allocate(paper, [1, 8, 8, 4], 'dz');
  trace(paper, () => {
    const y = conv2d(x, w, null, { pad: 1 });
    const z = conv2d(y, allocate(paper, [4, 7, 7, 16], 'w'), null, { pad: 3 });
    const [dx, dw] = vjp([z], [dz], [x, w]);
    return { z, dx, dw };
  });
}

const PASSES = ['conv2d.forward', 'conv2d.backwardInput', 'conv2d.backwardWeight'];

const ignore = () => {};

/** Sets up a cache folder of the test's own. */
function useCacheFolder(): { readonly folder: string } {
  const holder = { folder: '' };
  let before: string | undefined;
  beforeEach(async () => {
    before = process.env.XDG_CACHE_HOME;
    holder.folder = await mkdtemp(join(tmpdir(), 'adawn-tune-'));
    process.env.XDG_CACHE_HOME = holder.folder;
  });
  afterEach(async () => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    await rm(holder.folder, { recursive: true, force: true });
    gpu.device.tuning.best.clear();
  });
  return holder;
}

describe('the tuner', () => {
  test('notes where there is a choice, and only there', () => {
    const choices = choicesOf(gpu.device, work);
    // A GPU may choose among sizes of tiles for any layer.
    const many = gpu.device.isCpu ? [] : PASSES.slice(0, 2).map((pass) => `${pass} 7`);
    const found = choices.map(({ op, sizes }) => `${op} ${sizes.K}`);
    expect(found.sort()).toEqual([...PASSES.map((pass) => `${pass} 3`), ...many].sort());
    expect(choices[0].candidates).toContain(choices[0].preferred);
    expect(gpu.device.tuning.noted).toBeNull();
  });

  test('picks a candidate for each choice', async () => {
    const choices = choicesOf(gpu.device, work);
    const seen: string[] = [];
    const best = await tune(gpu.device, choices, { onProgress: (_, __, key) => seen.push(key) });
    const keys = choices.map(({ op, sizes }) => choiceKey(op, sizes));
    choices.forEach(({ candidates }, i) => {
      expect(candidates).toContain(best.get(keys[i]));
    });
    expect(seen).toEqual([...keys, 'done']);
    expect(gpu.device.variants).toEqual({});
  });

  test('ends in time where it must, with what it has, and says what it did not reach', async () => {
    const choices = choicesOf(gpu.device, work);
    const warnings: string[] = [];
    const best = await tune(gpu.device, choices, { budgetMs: 0, warn: (m) => warnings.push(m) });
    expect(best.size).toBe(0);
    expect(warnings).toEqual([
      `the tuner reached 0 of ${choices.length} choices of kernels in 0 s, those of 0 % of the work: ` +
        'the others keep the kernels that are the default',
    ]);
  });

  test('what it found is used, unless it cannot compute the layer', () => {
    const choice = choicesOf(gpu.device, work).find(({ op }) => op === 'conv2d.forward')!;
    const other = choice.candidates.find((name) => name !== choice.preferred)!;
    const key = choiceKey('conv2d.forward', choice.sizes);
    const kernels = () => {
      const paper = paperDevice(gpu.device);
      const [x, w] = [allocate(paper, [1, 8, 8, 16], 'x'), allocate(paper, [16, 3, 3, 16], 'w')];
      const { launches } = trace(paper, () => ({ y: conv2d(x, w, null, { pad: 1 }) }));
      return launches.map(({ kernel }) => kernel?.name).join(' ');
    };
    const before = kernels();
    gpu.device.tuning.best.set(key, other);
    expect(kernels()).not.toBe(before);
    gpu.device.tuning.best.set(key, 'no such kernel');
    expect(kernels()).toBe(before);
    gpu.device.tuning.best.clear();
  });

  test('times first what most of the work depends on', () => {
    const layers = (paper: Device) => {
      const layer = (side: number, uses: number) => {
        const [x, w] = [allocate(paper, [1, side, side, 8], 'x'), allocate(paper, [8, 3, 3, 8], 'w')];
        for (let i = 0; i < uses; i++) trace(paper, () => ({ y: conv2d(x, w, null, { pad: 1 }) }));
      };
      layer(8, 1);
      layer(12, 3);
      layer(16, 1);
    };
    const choices = choicesOf(gpu.device, layers);
    expect(choices.map(({ sizes, uses }) => [sizes.H, uses])).toEqual([
      [12, 3],
      [16, 1],
      [8, 1],
    ]);
  });

  test.each([
    ['every element', 'sums + 1.0'],
    // Of one invocation, for one row of its tile.
    ['few elements', 'select(sums, sums + 500.0, row == 37 && column == 20)'],
  ])('refuses a candidate that gets %s wrong, though it is faster', async (_, wrong) => {
    const { gpu: webgpu } = gpu.device;
    const create = webgpu.createShaderModule.bind(webgpu);
    const value: typeof create = ({ code, ...rest }) =>
      create({ ...rest, code: code.replace('var v = sums;', `var v = ${wrong};`) });
    Object.defineProperty(webgpu, 'createShaderModule', { value, configurable: true });
    gpu.device.pipelines.clear();
    const sizes = { N: 1, H: 32, W: 32, CI: 16, CO: 64, OH: 32, OW: 32, K: 3, S: 1, P: 1, UP: 1 };
    const candidates = ['naive', 'gather/tiles'];
    const choice = { op: 'conv2d.forward', sizes, preferred: 'naive', candidates, uses: 1 };
    const warnings: string[] = [];
    try {
      const best = await tune(gpu.device, [choice], { warn: (message) => warnings.push(message) });
      expect([...best.values()]).toEqual(['naive']);
      expect(warnings).toEqual([expect.stringMatching(/gather\/tiles differs from naive by \d\.\de/)]);
    } finally {
      Object.defineProperty(webgpu, 'createShaderModule', { value: create, configurable: true });
      gpu.device.pipelines.clear();
    }
  });

  test('goes on without a candidate that does not compile', async () => {
    const [{ sizes, preferred }] = choicesOf(gpu.device, work);
    const device = gpu.device as { tensorCores: boolean };
    const truth = device.tensorCores;
    const warnings: string[] = [];
    // Kernels for tensor cores, on an adapter that has none.
    expect(truth).toBe(false);
    device.tensorCores = true;
    try {
      const candidates = [preferred, 'gather/tiles/matrix'];
      const choice = { op: 'conv2d.forward', sizes, preferred, candidates, uses: 1 };
      const best = await tune(gpu.device, [choice], { warn: (message) => warnings.push(message) });
      expect([...best.values()]).toEqual([preferred]);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/gather\/tiles\/matrix: .* does not compile/);
    } finally {
      device.tensorCores = truth;
    }
  });

  test('is off by default on a processor', () => {
    expect(defaultMode({ isCpu: true })).toBe('off');
    expect(defaultMode({ isCpu: false })).toBe('auto');
  });
});

describe('the cache of the tuner', () => {
  const cache = useCacheFolder();

  test('lies in the cache folder of the user', () => {
    expect(tuneCachePath()).toBe(join(cache.folder, 'adawn', 'tuned.json'));
  });

  test('gives back what was written, to this adapter only', async () => {
    await writeTuned(gpu.device, new Map([['conv2d a', 'gather/textures']]), ignore);
    await writeTuned(gpu.device, new Map([['conv2d b', 'winograd/textures']]), ignore);
    const found = await readTuned(gpu.device, ignore);
    expect([...found]).toEqual([
      ['conv2d a', 'gather/textures'],
      ['conv2d b', 'winograd/textures'],
    ]);
    const other = { ...gpu.device, info: { ...gpu.device.info, description: 'another driver' } };
    expect(adapterKey(other as Device)).not.toBe(adapterKey(gpu.device));
    expect((await readTuned(other as Device, ignore)).size).toBe(0);
  });

  test.each(['{', '[]', '{"a": 1}', '{"a": {"b": 2}}', ''])(
    'ignores a broken file with a warning: %j',
    async (text) => {
      await mkdir(dirname(tuneCachePath()!), { recursive: true });
      await writeFile(tuneCachePath()!, text);
      const warnings: string[] = [];
      const found = await readTuned(gpu.device, (message) => warnings.push(message));
      expect(found.size).toBe(0);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/tuned\.json is damaged and was ignored/);
      await writeTuned(gpu.device, new Map([['k', 'v']]), ignore);
      expect((await readTuned(gpu.device, ignore)).get('k')).toBe('v');
    },
  );

  test('is filled by auto, believed by auto, and renewed by force', async () => {
    let timed = 0;
    const options = { onProgress: () => void timed++ };
    const first = await tuneFor(gpu.device, 'auto', work, options);
    expect(Object.keys(first)).toHaveLength(choicesOf(gpu.device, work).length);
    expect(timed).toBeGreaterThan(0);
    timed = 0;
    expect(await tuneFor(gpu.device, 'auto', work, options)).toEqual(first);
    expect(timed).toBe(0);
    const text = await readFile(tuneCachePath()!, 'utf8');
    await writeFile(tuneCachePath()!, text.replace(/"(winograd|gather)[\w/]*"/, '"poisoned"'));
    expect(Object.values(await tuneFor(gpu.device, 'auto', work, options))[0]).toBe('poisoned');
    const forced = await tuneFor(gpu.device, 'force', work, options);
    expect(Object.values(forced)[0]).toMatch(/winograd|gather/);
    expect(timed).toBeGreaterThan(0);
    expect(await tuneFor(gpu.device, 'off', work, options)).toEqual({});
  });

  test('keeps what was timed when the run is stopped', async () => {
    const two = (paper: Device) => {
      work(paper);
      trace(paper, () => {
        const x = allocate(paper, [1, 12, 12, 16], 'x');
        return { y: conv2d(x, allocate(paper, [16, 3, 3, 16], 'w'), null, { pad: 1 }) };
      });
    };
    const controller = new AbortController();
    const onProgress = (done: number) => void (done === 1 && controller.abort());
    const stopped = tuneFor(gpu.device, 'auto', two, { onProgress, stop: controller.signal });
    await expect(stopped).rejects.toThrow('aborted');
    expect((await readTuned(gpu.device, ignore)).size).toBe(1);
  });

  test('is asked for by all that the times depend on', () => {
    const key = adapterKey(gpu.device).split('|');
    expect(key).toContain(`dawn ${dawnVersion()}`);
    expect(key).toContain(`adawn ${adawnVersion()}`);
    expect(key.at(-1)).toMatch(/^[0-9a-f]{16}$/); // of the kernels and of what launches them
  });

  test('is missed by a user without a home folder, with a warning', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('another user can be asked for by root only');
    const script = `
      import { tuneCachePath, writeTuned } from './engine/measure/tuneCache.node.ts';
      await writeTuned({}, new Map(), (message) => console.log(message));
      console.log(tuneCachePath());`;
    const nobody = { uid: 12345, gid: 12345, env: { PATH: process.env.PATH }, cwd: root };
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, nobody);
    expect(stdout).toBe(
      "the tuner's results could not be kept: this user has no home folder; " +
        'set XDG_CACHE_HOME to a folder\nnull\n',
    );
  });

  test('a run keeps what was chosen, and a continued run uses it', async () => {
    const model = { ...DEFAULTS, size: 32, ch: 4, nRes: 1, disLayers: [4, 3] as const };
    const options = { out: '', resume: false, stopAfter: 1, sampleEvery: 0, saveEvery: 0, keep: 1 };
    const asked = { ...DEFAULT_RUN, model };
    const plain = await settleKernels(gpu.device, asked, { ...options, tune: 'off' }, []);
    expect(plain).toEqual(asked);
    const run = await settleKernels(gpu.device, asked, { ...options, tune: 'auto' }, []);
    expect(Object.keys(run.tuned!).length).toBeGreaterThan(0);
    gpu.device.tuning.best.clear();
    await settleKernels(gpu.device, run, { ...options, resume: true, tune: 'force' }, []);
    expect(Object.fromEntries(gpu.device.tuning.best)).toEqual(run.tuned);
  });

  test('says when it cannot be written', async () => {
    await writeFile(join(cache.folder, 'adawn'), 'a file where the folder should be');
    const warnings: string[] = [];
    await writeTuned(gpu.device, new Map([['k', 'v']]), (message) => warnings.push(message));
    expect(warnings[0]).toMatch(/could not be kept/);
  });
});
