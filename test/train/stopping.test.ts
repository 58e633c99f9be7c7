import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { memory } from '../../engine/device/device.ts';
import { setTensor } from '../../model/parameters.ts';
import { recipeNamed } from '../../model/recipes.ts';
import { train } from '../../train/loop.ts';
import type { Observer } from '../../train/observers.ts';
import { DEFAULT_RUN, type LoopOptions, type RunConfig } from '../../train/options.ts';
import { IN_FLIGHT, readNews, runStep } from '../../train/session.ts';
import { useDevice } from '../device.ts';
import { TINY } from '../engine/models.ts';
import { batchOf, withSession } from './session.ts';

const gpu = useDevice();
const CONFIG: RunConfig = { ...DEFAULT_RUN, data: 'toy-cat2dog', model: TINY, iterations: 1000 };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-stopping-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

function options(out: string, more: Partial<LoopOptions> = {}): LoopOptions {
  const every = { sampleEvery: 0, saveEvery: 0, keep: 3 };
  return { out: join(root, out), resume: false, stopAfter: 10, threads: 0, tune: 'off', ...every, ...more };
}

describe('the queue', () => {
  test(`never holds more than ${IN_FLIGHT} steps whose losses have not been read`, async () => {
    let [submitted, read, most] = [0, 0, 0];
    const { queue } = gpu.device.gpu;
    const write = queue.writeBuffer.bind(queue);
    vi.spyOn(queue, 'writeBuffer').mockImplementation((buffer, ...rest) => {
      if (buffer.label === 'Adam numbers') most = Math.max(most, ++submitted - read);
      return (write as (...args: unknown[]) => undefined)(buffer, ...rest);
    });
    const prototype = Object.getPrototypeOf(gpu.device.pool.acquireStaging(16)) as GPUBuffer;
    const unmap = prototype.unmap;
    vi.spyOn(prototype, 'unmap').mockImplementation(function (this: GPUBuffer) {
      read++;
      return unmap.call(this);
    });
    await train(gpu.device, CONFIG, options('queue'), [], new AbortController().signal);
    expect(submitted).toBe(10);
    expect(most).toBe(IN_FLIGHT);
  });

  test('hands out the news of a step while later ones are computed', async () => {
    await withSession(gpu.device, TINY, async (session) => {
      for (let step = 1; step <= 3; step++) runStep(session, batchOf(TINY, step), step, 1e-4);
      expect(await readNews(session, 3)).toHaveLength(0);
      const [first] = await readNews(session, 2);
      const rest = await readNews(session);
      expect(rest).toHaveLength(2);
      // Not those of a later step.
      expect(first.losses['D.loss']).not.toBe(rest[0].losses['D.loss']);
      expect(first.lost).toEqual([]);
    });
  });

  test.each(Object.keys(recipeNamed('ugatit').networks(TINY)))(
    'tells that %s is lost when one of its weights is NaN',
    async (network) => {
      await withSession(gpu.device, TINY, async (session) => {
        const { optimiser } = session.model.recipe.networks(TINY)[network];
        const { parameters } = session.model.trained[optimiser].ensemble;
        // The last tensor: what leads to it is as before.
        const spec = parameters.specs.filter(({ name }) => name.startsWith(`${network}.`)).at(-1)!;
        const bad = new Float32Array(spec.shape.reduce((a, b) => a * b)).fill(0.01);
        bad[bad.length - 1] = Number.NaN;
        setTensor(gpu.device, parameters, spec, bad);
        runStep(session, batchOf(TINY, 1), 1, 1e-4);
        const [{ lost }] = await readNews(session);
        expect(lost).toContain(network);
      });
    },
  );

  test('tells which network is lost in the step that lost it, while all losses are finite', async () => {
    await withSession(gpu.device, TINY, async (session) => {
      const first = session.model.trained.G.ensemble.moments!.first;
      const spec = first.specs.find(({ name }) => name.startsWith('genA2B.'))!;
      const bad = new Float32Array(spec.shape.reduce((a, b) => a * b)).fill(Number.NaN);
      setTensor(gpu.device, first, spec, bad);
      runStep(session, batchOf(TINY, 1), 1, 1e-4);
      const [{ losses, lost }] = await readNews(session);
      expect(Object.values(losses).every(Number.isFinite)).toBe(true);
      expect(lost).toEqual(['genA2B']);
    });
  });
});

/** Trains until `when` of the observer's calls, and stops there. */
async function stopAt(out: string, make: (stop: () => void) => Observer, more: Partial<LoopOptions> = {}) {
  const controller = new AbortController();
  const observer = make(() => controller.abort());
  return train(gpu.device, CONFIG, options(out, more), [observer], controller.signal);
}

describe('a run that is stopped', () => {
  test('while kernels compile: ends before the first step, and all memory is given back', async () => {
    await train(gpu.device, CONFIG, options('first', { stopAfter: 1 }), [], new AbortController().signal);
    gpu.device.pipelines.clear();
    const before = memory(gpu.device).live;
    let compiled = 0;
    const end = await stopAt('compiling', (stop) => ({
      compiling(done) {
        compiled = done;
        if (done === 5) stop();
      },
    }));
    expect(end).toMatchObject({ step: 0, steps: 0, complete: false });
    expect(compiled).toBe(5);
    expect(await readdir(join(root, 'compiling', 'checkpoints'))).toEqual([]);
    expect(memory(gpu.device).live).toBe(before);
  });

  test('while the first step is computed: the same', async () => {
    const before = memory(gpu.device).live;
    const end = await stopAt('computing', (stop) => ({
      compiling(done, total) {
        if (done === total) setTimeout(stop, 0);
      },
    }));
    expect(end).toMatchObject({ step: 0, steps: 0 });
    expect(memory(gpu.device).live).toBe(before);
  });

  test('later: saves after the steps that are under way', async () => {
    let told = 0;
    const end = await stopAt(
      'later',
      (stop) => ({
        steps(records) {
          told = records[records.length - 1].step;
          stop();
        },
      }),
      { stopAfter: 1000 },
    );
    expect(end.step).toBeGreaterThanOrEqual(told);
    expect(end.step).toBeLessThanOrEqual(told + IN_FLIGHT);
    const name = `step_${String(end.step).padStart(7, '0')}.safetensors`;
    expect(await readdir(join(root, 'later', 'checkpoints'))).toEqual([name]);
  });

  test('while samples are made: saves at once, without them', async () => {
    const end = await stopAt('samples', (stop) => ({ checkpoint: stop }), { saveEvery: 2, sampleEvery: 2 });
    expect(end.step).toBe(2);
    expect(await readdir(join(root, 'samples', 'checkpoints'))).toEqual(['step_0000002.safetensors']);
    expect(await readdir(join(root, 'samples', 'samples'))).toEqual([]);
  });
});
