import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forcedOf } from '../bench/force.ts';
import type { LaunchFile } from '../bench/launchFile.ts';
import { paired, readLaunches, verdictsOf } from '../bench/paper/against.ts';
import { CARDS } from '../bench/paper/cards.ts';
import { paperReport } from '../bench/paper/command.ts';
import { deviceOnPaper } from '../bench/paper/launches.ts';
import { printAgainst } from '../bench/paper/printAgainst.ts';
import { ratesOf } from '../bench/paper/time.ts';
import { togglesOf } from '../bench/toggles.ts';
import { openDevice } from '../engine/device/device.node.ts';
import { closeDevice, type Device, scoped, type Variants } from '../engine/device/device.ts';
import { conv2d } from '../engine/ops/conv2d.ts';
import { zeros } from '../engine/ops/fill.ts';
import { allocate } from '../engine/record/tensor.ts';
import { trace } from '../engine/run/program.ts';
import { recipeNamed } from '../model/recipes.ts';
import { DEFAULTS } from '../model/ugatit/ugatit.ts';
import { estimatesOf } from './paperLaunches.ts';

const recipe = recipeNamed('ugatit');

describe('beside a measured iteration', () => {
  let paper: Device;
  let folder = '';
  beforeAll(async () => {
    paper = await deviceOnPaper(CARDS.h100);
    folder = await mkdtemp(join(tmpdir(), 'adawn-launches-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const input = (...shape: number[]) => allocate(paper, shape, 'input');

  /** Convolutions whose times rest on tiles of each size, on cores that are not full, and on single loads. */
  function convolutions() {
    const by = (tile: string, x: number[], w: number[], pad: number) =>
      trace({ ...paper, variants: { conv2d: `gather/tiles/${tile}` } }, () => ({
        y: conv2d(input(...x), input(...w), null, { pad }),
      })).launches;
    const launches = [
      ...by('large', [2, 64, 64, 256], [256, 3, 3, 256], 1),
      ...by('tall', [2, 64, 64, 256], [256, 3, 3, 256], 1),
      // Too short to be split among more workgroups.
      ...Array.from({ length: 16 }, () => by('small', [1, 32, 32, 128], [256, 1, 1, 128], 0)).flat(),
      ...by('small', [2, 64, 64, 62], [66, 7, 7, 62], 3),
    ];
    const fill = trace(paper, () => ({ y: zeros([2 ** 26]) }));
    return estimatesOf(CARDS.h100, [...fill.launches, ...launches]);
  }

  /** A file whose launches take so many times as long as on paper, and `gap` microseconds. */
  function measured(list: ReturnType<typeof convolutions>, times: (bound: string) => number, gap = 3) {
    const rows = list.map((e) => ({
      ms: e.own_ms * times(e.bound) + gap / 1e3,
      label: e.launch.label,
      kernel: e.kernel,
      grid: e.launch.grid,
      constants: e.launch.kernel!.constants,
      shapes: e.launch.bindings.map(({ shape }) => shape),
      writes: e.launch.writes,
    }));
    const ceilings = { gflops: 59e3, gbps: 2900, launch_us: gap };
    const config = DEFAULTS;
    return { rows, ceilings, config, is_cpu: false, driver: 'made up', toggles: [] };
  }

  type File = Parameters<typeof verdictsOf>[2];

  function judge(times: (bound: string) => number, gap = 3) {
    const list = convolutions();
    const file = measured(list, times, gap) as unknown as File;
    const both = paired(list, file.rows);
    expect([both.onlyPaper, both.onlyMeasured]).toEqual([0, 0]);
    return verdictsOf(ratesOf(CARDS.h100), both.pairs, file);
  }

  const off = (verdicts: ReturnType<typeof judge>) =>
    verdicts.flatMap((v) => (v.off ? [[v.name, Number(v.found.toPrecision(3))]] : []));

  test('no assumption is off where everything takes as long as on paper', () => {
    const verdicts = judge(() => 1);
    expect(off(verdicts)).toEqual([]);
    const names = verdicts.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['large', 'tall', 'roundUs', 'unaligned', 'bandwidth']));
  });

  test.each([
    ['large', 1.5, 0.387],
    ['tall', 0.5, 1.06],
    ['unaligned', 1.5, 2.4],
  ])('the one is named that is off: %s', (name, times, found) => {
    expect(off(judge((bound) => (bound === name ? times : 1)))).toEqual([[name, found]]);
  });

  test('a round that only other workgroups fill is told from lone ones', () => {
    // Twice the time of all of a round, of 0.3 us and a third of the rest of a full core's three.
    const full = (3 * 2 ** 17) / (0.48 * ((67e3 * 0.88) / 132)) / 1e3;
    const lone = 0.3 + (full - 0.3) / 3;
    const alone = (2 * lone - full / 3) / (2 / 3);
    const [[name, found]] = off(judge((bound) => (bound === 'roundUs' ? 2 : 1)));
    expect(name).toBe('roundUs');
    expect(found).toBeCloseTo(alone, 2);
  });

  test('the wait between launches is a ceiling of its own', () => {
    expect(off(judge(() => 1, 5))[0]).toEqual(['gapUs', 5]);
  });

  test('both sides are printed, with what is off and a card that assumes what was found', () => {
    const list = convolutions();
    const made = measured(list, (bound) => (bound === 'large' ? 1.5 : 1));
    const about = { device: 'made up', commit: 'none', pipelines: 4, compile_ms: 9, alone_ms: 0 };
    const times = { iteration_ms: 9, iteration_ms_min: 9, host_ms: 1 };
    const file = { ...made, ...about, ...times, toggles: ['disable_robustness'] } as unknown as LaunchFile;
    const other = [{ ...file.rows[0], kernel: 'other' }, ...file.rows.slice(1)];
    const text = printAgainst(ratesOf(CARDS.h100), 'h100', paired(list, other), file, 3);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(110);
    expect(text).toMatch(/toggles disable_robustness/);
    expect(text).toMatch(/warning: 1 launches are on paper only and 1 in the file only/);
    expect(text).toMatch(/OFF tiles of 128x128, share .* 0\.58 +0\.387/);
    expect(text).toContain('{"like":"h100","assume":{"large":0.387}}');
  });

  test('launches that are on one side only are counted', () => {
    const list = convolutions();
    const { rows } = measured(list, () => 1);
    const other = { ...rows[0], shapes: [[1]] };
    expect(paired(list, [other, ...rows.slice(1)] as never)).toMatchObject({ onlyPaper: 1, onlyMeasured: 1 });
  });

  test('a file of something else, or of a processor, is refused', async () => {
    const file = join(folder, 'launches.json');
    const written = async (content: object) => {
      await writeFile(file, JSON.stringify(content));
      return file;
    };
    const good = measured(convolutions(), () => 1);
    expect(readLaunches(await written(good), recipe).rows).toHaveLength(good.rows.length);
    const processor = await written({ ...good, is_cpu: true });
    expect(() => readLaunches(processor, recipe)).toThrow(/made up is a processor/);
    const other = await written({ header: {}, results: [] });
    expect(() => readLaunches(other, recipe)).toThrow(
      /none of those that `bench step --launches FILE` writes/,
    );
    expect(() => readLaunches(join(folder, 'none.json'), recipe)).toThrow(/no such file/);
    const another = await written({ ...good, recipe: 'drit' });
    expect(() => readLaunches(another, recipe)).toThrow(/is of drit, not of ugatit: choose it/);
  });
});

describe('ways that nobody has chosen from', () => {
  test('are forced by name, and refused where there are none of that name', () => {
    expect(forcedOf('memo=kept, tileLanes=pairs')).toEqual({ memo: 'kept', tileLanes: 'pairs' });
    expect(forcedOf(undefined)).toEqual({});
    expect(() => forcedOf('memo=kept,tiles=pairs')).toThrow(/tiles=pairs is none of tileLanes=blocks/);
    expect(() => forcedOf('memo=toString')).toThrow(/memo=toString is none of/);
    expect(() => forcedOf('toString')).toThrow(/toString is none of/);
  });

  test('are on paper what was measured', async () => {
    const config = { ...DEFAULTS, size: 64, ch: 64, nRes: 1, disLayers: [5, 4] as [number, number] };
    const kernelsWith = async (variants: Variants) => {
      const { launches } = await paperReport(CARDS.h100, recipe, { config, variants });
      return new Set(launches.flatMap(({ launch }) => Object.keys(launch.kernel?.constants ?? {})));
    };
    expect(await kernelsWith({ tileLanes: 'pairs' })).toContain('PAIRS');
    expect(await kernelsWith({})).not.toContain('PAIRS');
  });
});

describe("Dawn's toggles", () => {
  test('are refused where Dawn has none of that name', () => {
    expect(togglesOf('disable_robustness,disable_workgroup_init')).toHaveLength(2);
    expect(togglesOf(undefined)).toEqual([]);
    expect(() => togglesOf('disable_robustness,robust')).toThrow(/Dawn has no toggle robust;/);
  });

  test('reach it, together with those of mixed precision', async () => {
    const device = await openDevice({ mixed: true, toggles: ['skip_validation'] });
    try {
      // One more than WebGPU allows in a set.
      const more = () => device.gpu.createQuerySet({ type: 'occlusion', count: 4097 });
      expect((await scoped(device, 'validation', more)).error).toBeNull();
    } finally {
      await closeDevice(device);
    }
  });
});
