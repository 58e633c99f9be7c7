import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { naiveFlops } from '../bench/flops.ts';
import { ASSUMPTIONS, SAID } from '../bench/paper/assumptions.ts';
import { CARDS, cardOf } from '../bench/paper/cards.ts';
import { directFlops, estimateLaunches, totalsOf } from '../bench/paper/estimate.ts';
import { deviceOnPaper, recordIteration } from '../bench/paper/launches.ts';
import { printReport } from '../bench/paper/print.ts';
import { RULES } from '../bench/paper/rules.ts';
import { ratesOf } from '../bench/paper/time.ts';
import type { Device, Precision } from '../engine/device/device.ts';
import { fullText } from '../engine/device/kernel.ts';
import { vjp } from '../engine/grad/autograd.ts';
import type { ConvOptions } from '../engine/ops/conv2d/sizes.ts';
import { conv2d } from '../engine/ops/conv2d.ts';
import type { Shape } from '../engine/record/shape.ts';
import { allocate } from '../engine/record/tensor.ts';
import { trace } from '../engine/run/program.ts';
import { recipeNamed } from '../model/recipes.ts';
import { DEFAULTS, type UgatitConfig, ugatit } from '../model/ugatit/ugatit.ts';
import { estimatesOf, launchOf, microseconds, shaped } from './paperLaunches.ts';

describe('a recorded iteration', () => {
  const recipe = recipeNamed('ugatit');
  const small: UgatitConfig = { ...DEFAULTS, size: 32, ch: 4, nRes: 1, disLayers: [4, 3] };
  const larger = { size: 64, ch: 16, disLayers: [5, 4] as [number, number] };

  /** What is expected of an iteration, without the direct sums, which must be recorded too. */
  async function expected(card: string, config: UgatitConfig, precision: Precision = 'full') {
    const iteration = recordIteration(await deviceOnPaper(CARDS[card], precision), ugatit, config);
    const rates = ratesOf(CARDS[card]);
    const launches = estimateLaunches(rates, iteration);
    return { launches, totals: totalsOf(rates, launches, iteration.plan.bytes) };
  }

  test.each([
    ['light', larger, 'full'],
    ['full', { light: false, batch: 2 }, 'full'],
    ['without kept activations', { checkpointActivations: true, ch: 64 }, 'full'],
    ['in mixed precision', {}, 'mixed'],
  ] as const)('has a rule for every kernel: %s', async (_, change, precision) => {
    const { launches, totals } = await expected('h100', { ...small, ...change }, precision);
    expect(totals.unknown).toEqual([]);
    expect(launches.filter(({ own_ms }) => !(own_ms > 0))).toEqual([]);
    expect(launches.filter(({ flops, useful }) => useful > flops)).toEqual([]);
    expect(launches.filter(({ own_ms, roofline_ms }) => roofline_ms > own_ms * 1.0001)).toEqual([]);
  });

  test('has no rule for a kernel that is gone', () => {
    const gone = Object.keys(RULES).filter((key) => {
      const [name, entry] = key.split(':');
      const text = fullText({ name, constants: {} });
      return !new RegExp(`fn ${entry ?? '\\w+'}\\b`).test(text);
    });
    expect(gone).toEqual([]);
  });

  test('says so where a kernel has no rule', async () => {
    const bind = [1, 2, 3, 4, 5].map(() => shaped(16));
    const naive = launchOf({ kernel: 'adam/naive', constants: {}, bind, grid: [1, 1, 1] });
    const clamp = launchOf({ kernel: 'adam/clamp', constants: {}, bind: [bind[0]], grid: [1, 1, 1] });
    const rates = ratesOf(CARDS.m2);
    const launches = estimatesOf(CARDS.m2, [naive, clamp]);
    const totals = totalsOf(rates, launches, 0);
    expect(totals.unknown).toEqual(['adam/naive:main']);
    const text = printReport({ recipe, config: small, rates, launches, totals, direct: new Map() }, 5);
    expect(text).toMatch(/warning: no rule for adam\/naive:main \(1 launches\)/);
    expect(text).not.toMatch(/no rule for adam\/clamp/);
  });

  test('is the one a session records, and takes no memory', async () => {
    const paper = await deviceOnPaper(CARDS.h100);
    const { launches } = recordIteration(paper, ugatit, small);
    // Losses are read by nobody in the step: only a session keeps them.
    expect(launches.filter(({ label }) => label === 'weightedSum').length).toBeGreaterThan(0);
    expect(launches.every(({ kernel }) => kernel !== null)).toBe(true);
    expect(paper.pool.memory().live).toBeGreaterThan(0); // counted only
    const direct = [...directFlops(paper, ugatit, small).values()].reduce((a, b) => a + b, 0);
    expect(direct).toBeGreaterThan(5e7);
  });

  // A regression shows here without a card. Where kernels got better, lower the number.
  test.each([
    ['64x64, ch 16', 'h100', larger, 9.66],
    ['64x64, ch 16', 'm2', larger, 19.41],
    ['256x256, ch 64', 'h100', { size: 256, ch: 64, nRes: 4, disLayers: [7, 5] as [number, number] }, 48.94],
  ] as const)('takes as long as before on paper: %s on %s', async (_, card, change, held) => {
    const { totals } = await expected(card, { ...DEFAULTS, ...change });
    expect(totals.ms).toBeLessThan(held * 1.01);
    expect(totals.ms, 'better than before: lower the number in this test').toBeGreaterThan(held * 0.99);
    expect(totals.roofline_ms).toBeLessThan(totals.own_ms);
    expect(totals.waits_needed).toBeLessThan(totals.waits_placed);
  });

  test('is faster on a faster card', async () => {
    const times = ['m2', 'm2max', 'h100'].map(async (card) => (await expected(card, small)).totals.own_ms);
    const [m2, m2max, h100] = await Promise.all(times);
    expect(m2).toBeGreaterThan(m2max);
    expect(m2max).toBeGreaterThan(h100);
  });
});

describe('operations of convolutions by tiles', () => {
  let paper: Device;
  beforeAll(async () => {
    paper = await deviceOnPaper(CARDS.h100);
  });

  const input = (shape: Shape) => allocate(paper, shape, 'input');

  function both(x: number[], w: number[], options: ConvOptions) {
    const record = (variant: string) =>
      trace({ ...paper, variants: { conv2d: variant } }, () => {
        const [tx, tw] = [x, w].map(input);
        const y = conv2d(tx, tw, null, options);
        const [dw] = vjp([y], [input(y.shape)], [tw]);
        return { y, dw };
      }).launches;
    const useful = (label: string) =>
      estimatesOf(CARDS.h100, record('gather/tiles'))
        .filter(({ launch }) => launch.label === label)
        .reduce((sum, e) => sum + e.useful, 0);
    const direct = (label: string) =>
      record('naive')
        .filter((launch) => launch.label === label)
        .reduce((sum, launch) => sum + naiveFlops(launch), 0);
    return ['conv2d.forward', 'conv2d.backwardWeight'].map((label) => [useful(label), direct(label)]);
  }

  test.each<[string, number[], number[], ConvOptions, number]>([
    ['3x3', [2, 20, 18, 8], [12, 3, 3, 8], { pad: 1 }, 1],
    ['strided, odd', [1, 17, 15, 4], [8, 4, 4, 4], { pad: 1, stride: 2 }, 1],
    ['thin', [1, 33, 33, 64], [3, 7, 7, 64], { pad: 3 }, 1],
    ['of a doubled picture', [1, 16, 16, 8], [8, 3, 3, 8], { pad: 1, upsample: 2 }, 2.25],
  ])('are those of the direct sums: %s', (_, x, w, options, times) => {
    for (const [useful, direct] of both(x, w, options)) expect(useful * times).toBe(direct);
  });

  test('beyond the edges count as run: 7x7, 64 to 3 channels, computed for 64', () => {
    const tiled = { ...paper, variants: { conv2d: 'gather/tiles/tall' } };
    const { launches } = trace(tiled, () => ({
      y: conv2d(input([2, 256, 256, 64]), input([3, 7, 7, 64]), null, { pad: 3 }),
    }));
    const [e] = estimatesOf(CARDS.h100, launches);
    const positions = 2 * 256 * 256;
    expect(e.flops).toBe(2 * positions * 64 * 49 * 64);
    expect(e.useful).toBe(2 * positions * 3 * 49 * 64);
    expect([e.groups, e.rounds!.longest, e.rounds!.single]).toEqual([1024, 392, 0]);
    // Four waves of two 128x64 tiles a core: 2 x 2^17 operations a round at 53 % of 447 GFLOP/s.
    const round = (2 * 2 ** 17) / (0.53 * ((67e3 * 0.88) / 132)) / 1e3;
    expect(microseconds(e)).toBeCloseTo(4 * 392 * round, 0);
  });

  test('take longer where operands are loaded number by number', () => {
    const times = [3, 4].map((channels) => {
      const device = { ...paper, variants: { conv2d: 'gather/tiles/tall' } };
      const { launches } = trace(device, () => ({
        y: conv2d(input([2, 256, 256, channels]), input([64, 7, 7, channels]), null, { pad: 3 }),
      }));
      return microseconds(estimatesOf(CARDS.h100, launches)[0]);
    });
    expect(times[0] / times[1]).toBeCloseTo(1.6, 3);
  });
});

describe('cards', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adawn-card-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('say where their numbers come from, and every assumption is printed', () => {
    for (const card of Object.values(CARDS)) expect(card.source.length).toBeGreaterThan(10);
    expect(Object.keys(SAID).sort()).toEqual(Object.keys(ASSUMPTIONS).sort());
  });

  test('are read from a file: whole, or what differs from one of the table', async () => {
    const file = async (text: string) => {
      const path = join(folder, `${Math.random()}.json`);
      await writeFile(path, text);
      return path;
    };
    const own = cardOf(await file('{"like": "h100", "gbps": 4000, "assume": {"large": 0.4}}'));
    expect(own).toMatchObject({ cores: 132, gbps: 4000, assume: { large: 0.4 } });
    const wrong: [string, RegExp][] = [
      ['{"tflops": 3}', /needs positive numbers gbps, cores/],
      ['{"like": "h100", "gbps": -1}', /positive numbers gbps/],
      ['{"like": "h100", "assume": {"speed": 1}}', /assume\.speed is none/],
      ['{"like": "pen"}', /"like" names pen/],
      ['{', /--card .*JSON/],
    ];
    for (const [text, why] of wrong) {
      const path = await file(text);
      expect(() => cardOf(path)).toThrow(why);
    }
    expect(() => cardOf('h1000')).toThrow(/known are h100, .*ends in \.json/);
    expect(() => cardOf(join(folder, 'none.json'))).toThrow(/no such file/);
  });
});
