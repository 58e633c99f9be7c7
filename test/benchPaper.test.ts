import { describe, expect, test } from 'vitest';
import { CARDS, type Card } from '../bench/paper/cards.ts';
import { evaluateConstant, factsOf } from '../bench/paper/constants.ts';
import { deviceOnPaper } from '../bench/paper/launches.ts';
import { ruleOf } from '../bench/paper/rules.ts';
import { ratesOf, residentGroups } from '../bench/paper/time.ts';
import { emptyCache, trafficOf } from '../bench/paper/traffic.ts';
import { waitsOf } from '../bench/paper/waits.ts';
import { siteOf, workOf } from '../bench/paper/work.ts';
import { planMemory } from '../engine/plan/plan.ts';
import type { Launch } from '../engine/record/recorder.ts';
import { allocate, type Tensor, viewOf } from '../engine/record/tensor.ts';
import { estimatesOf, launchOf, microseconds, shaped } from './paperLaunches.ts';

/** Round numbers, so that times can be told by hand: 100 GFLOP/s a core, nothing lost. */
const PLAIN: Card = {
  name: 'plain',
  source: 'made up',
  ...{ tflops: 1, gbps: 100, cores: 10, cacheMib: 1, coreThreads: 1024, coreGroups: 16 },
  ...{ coreSharedKib: 64, coreRegistersKib: 256, groupSharedKib: 32 },
  assume: {
    ...{ arithmetic: 1, bandwidth: 1, cacheGbps: 1000, gapUs: 2, memoryUs: 1, cacheUs: 0.5, unrolled: 4 },
    ...{ small: 0.5, tall: 0.5, large: 0.5, roundUs: 1, unaligned: 2 },
    ...{ smallRegisters: 64, tallRegisters: 128, largeRegisters: 256 },
  },
};

describe('constants of a kernel', () => {
  test.each([
    ['(7 + 3) / 4 * 4', 8],
    ['select(64u, 128u, A && !B)', 128],
    ['select(64u, 128u, A == 2)', 64],
    ['-3 + 2 * max(1, min(9, 4))', 5],
    ['7 % 4 >= 3 || B', 1],
  ])('%s is %d', (text, value) => {
    expect(evaluateConstant(text, new Map(Object.entries({ A: 1, B: 0 })))).toBe(value);
  });

  test('that cannot be told are an error, not a guess', () => {
    const known = new Map([['A', 1]]);
    expect(() => evaluateConstant('A + C', known)).toThrow(/A \+ C.*C is unknown/);
    expect(() => evaluateConstant('max(A, 2', known)).toThrow(/parenthesis/);
    expect(() => evaluateConstant('A 2', known)).toThrow(/one too many/);
    expect(() => factsOf({ name: 'add/main', entry: 'none', constants: {} })).toThrow(/no entry point none/);
  });

  test('of tiles: their sizes, invocations and workgroup memory', () => {
    const facts = (TALL: boolean, WIDE: boolean) =>
      factsOf({ name: 'conv2d/winograd/productTiled', entry: 'main', constants: { TALL, WIDE } });
    expect(facts(false, false)).toMatchObject({
      values: { ROWS: 64, COLUMNS: 64, DEPTH: 16 },
      threads: 256,
      shared: 16384,
    });
    expect(facts(true, true).values).toMatchObject({ ROWS: 128, COLUMNS: 128, DEPTH: 8 });
    const mixed = { OPERANDS: 'operandsHalf', IN: 6 };
    const rows = factsOf({ name: 'conv2d/tiledRows', entry: 'main', constants: mixed });
    expect([rows.shared, rows.values.PADDED]).toEqual([8192, 8]);
    const transform = factsOf({ name: 'conv2d/winograd/input', entry: 'main', constants: {} });
    expect([transform.threads, transform.shared]).toEqual([96, 36 * 16 * 16]);
  });
});

describe('a launch by hand', () => {
  const add = (N4: number, tensors: readonly Tensor[]) =>
    launchOf({ kernel: 'add/main', constants: { N4, WG: 64 }, bind: tensors, grid: [N4 / 64, 1, 1] });

  test('that streams takes its bytes from memory', () => {
    const count = 2 ** 20; // 4 MiB each
    const [one] = estimatesOf(PLAIN, [add(count / 4, [shaped(count), shaped(count), shaped(count)])]);
    expect(one.bound).toBe('bandwidth');
    expect(microseconds(one)).toBeCloseTo((3 * 4 * count) / 100e3, 6);
    expect(one.roofline_ms).toBeCloseTo(one.own_ms, 9);
    expect(one.ms - one.own_ms).toBeCloseTo(2e-3, 9); // it waits for the iteration before
  });

  test('that finds its operands in the cache takes what it writes', () => {
    const count = 2 ** 14; // 64 KiB each; the cache has 1 MiB
    const [a, b, c, d] = [1, 2, 3, 4].map(() => shaped(count));
    const [, second] = estimatesOf(PLAIN, [add(count / 4, [a, b, c]), add(count / 4, [a, c, d])]);
    expect(second.traffic).toEqual({ read: 8 * count, written: 4 * count, missed: 0 });
  });

  test('that loops waits turn by turn, wave by wave', () => {
    // 8 rows each of 8192 x 4: four waves of 10 cores with 16 workgroups (coreGroups) for 512 of them.
    const [x, y] = [shaped(8 * 8192, 4), shaped(8192, 4)];
    const constants = { ROWS: 8 * 8192, C: 4, PER: 8, GROUPS: 8192, WG: 64 };
    const sums = launchOf({ kernel: 'sumRows/main', constants, bind: [x, y], grid: [512, 1, 1] });
    const [estimate] = estimatesOf({ ...PLAIN, gbps: 1e6 }, [sums]);
    expect(estimate.resident).toBe(16);
    expect(estimate.bound).toBe('memoryUs');
    expect(microseconds(estimate)).toBeCloseTo(4 * (1 + 8 / 4) * 1, 6);
  });

  test('of one workgroup that adds many slices is as long as the runs that its invocations share', () => {
    const constants = { CV: 16, CALLS: 2, SLICES: 1024, BIAS: true, LANES: 'vector', WG: 256 };
    const bind = [shaped(2048, 2, 64), shaped(2), shaped(64), shaped(2)];
    const finish = launchOf({ kernel: 'conv2d/finishEpilogue', constants, bind, grid: [1, 1, 1] });
    const [estimate] = estimatesOf(CARDS.h100, [finish]);
    // 16 invocations a channel: 2048 slices for the bias, 2 x 1024 for both sigmas, four at a time, 0.6 us
    // each; and a team's meeting, and two of all.
    const team = 1 + (2 * 4) / 16;
    const meeting = 1 + (256 / 8 + 8) / 16;
    expect(microseconds(estimate)).toBeCloseTo((4096 / 16 / 4 + 1 + team + 2 * meeting) * 0.6, 3);
  });

  test('holds as many workgroups a core as fit', () => {
    const rates = ratesOf(PLAIN);
    const product = (TALL: boolean, WIDE: boolean) => {
      const constants = { LEFT_BY_K: false, RIGHT_BY_K: false, TALL, WIDE };
      const bind = [shaped(4), shaped(1, 128, 16), shaped(1, 128, 16), shaped(1, 128, 128)];
      const site = siteOf(
        launchOf({ kernel: 'conv2d/winograd/productTiled', constants, bind, grid: [1, 1, 1] }),
      );
      return residentGroups(rates, site, workOf(site, ruleOf(site.launch.kernel!)).rounds);
    };
    // 65536 registers: 256 invocations of 64, 128, 256. Workgroup memory of 16 of 64 KiB would do for four.
    expect([product(false, false), product(true, false), product(true, true)]).toEqual([4, 2, 1]);
    const one = siteOf(add(64, [shaped(256), shaped(256), shaped(256)]));
    expect(residentGroups(rates, { ...one, threads: 512 }, null)).toBe(2);
    expect(residentGroups(rates, { ...one, threads: 8 }, null)).toBe(16);
    expect(residentGroups(rates, { ...one, shared: 20 * 1024 }, null)).toBe(3);
  });

  test('of products: waves of full cores, and one that fills them in part', () => {
    const product = (layers: number, [TALL, WIDE]: [boolean, boolean], card: Card) => {
      const constants = { LEFT_BY_K: false, RIGHT_BY_K: false, TALL, WIDE };
      const rows = TALL ? 128 : 64;
      const columns = WIDE ? 128 : 64;
      const bind = [
        shaped(4),
        shaped(layers, rows, 160),
        shaped(layers, columns, 160),
        shaped(layers, rows, columns),
      ];
      const launch = launchOf({
        kernel: 'conv2d/winograd/productTiled',
        constants,
        bind,
        grid: [1, 1, layers],
      });
      return estimatesOf(card, [launch])[0];
    };
    const swift = { ...PLAIN, gbps: 1e6, assume: { ...PLAIN.assume, cacheGbps: 1e6 } };
    // Large: one a core, 2^18 operations a round at half of 100 GFLOP/s; 20 rounds; 21 layers on 10 cores.
    const round = 2 ** 18 / 50e3;
    expect(microseconds(product(21, [true, true], swift))).toBeCloseTo(3 * 20 * round, 4);
    // Small: four a core take 4 x 2^17 / 50e3 us a round, of which 1 us nobody else fills; 10 rounds of 16.
    const four = (4 * 2 ** 17) / 50e3;
    const lone = 1 + (four - 1) / 4;
    const single = product(1, [false, false], swift);
    expect(single.bound).toBe('roundUs');
    expect(microseconds(single)).toBeCloseTo(10 * lone, 4);
    expect(microseconds(product(40, [false, false], swift))).toBeCloseTo(10 * four, 4);
    expect(microseconds(product(41, [false, false], swift))).toBeCloseTo(10 * (four + lone), 4);
    const { flops, useful } = product(3, [true, false], swift);
    expect([flops, useful]).toEqual([2 * 3 * 128 * 64 * 160, 2 * 3 * 128 * 64 * 160]);
  });

  test('that adds to what it writes reads it too', () => {
    const [a, b, c] = [256, 256, 256].map((n) => shaped(n));
    const cache = emptyCache(2 ** 20);
    const constants = { N4: 64, WG: 64, ADD: true };
    const launch = launchOf({ kernel: 'add/main', constants, bind: [a, b, c], grid: [1, 1, 1] });
    const traffic = trafficOf(cache, launch, workOf(siteOf(launch), ruleOf(launch.kernel!)));
    expect(traffic).toEqual({ read: 3 * 1024, written: 1024, missed: 3 * 1024 });
    const again = trafficOf(cache, launch, workOf(siteOf(launch), ruleOf(launch.kernel!)));
    expect(again.missed).toBe(0);
  });
});

describe('the cache', () => {
  const read = (x: Tensor, y: Tensor) =>
    launchOf({ kernel: 'add/main', constants: { N4: 1, WG: 64 }, bind: [x, x, y], grid: [1, 1, 1] });
  const missed = (launches: readonly Launch[], capacity: number) => {
    const cache = emptyCache(capacity);
    return launches.map((launch) => trafficOf(cache, launch, workOf(siteOf(launch), undefined)).missed);
  };

  test('holds what was touched last, and no more', () => {
    const [a, b, y, z] = [100, 100, 100, 100].map((n) => shaped(n)); // 400 bytes each
    const launches = [read(a, y), read(b, z), read(a, y)];
    // Since a was read: itself, y, b and z, of which y was then written again.
    expect(missed(launches, 1600)).toEqual([400, 400, 0]);
    expect(missed(launches, 1599)).toEqual([400, 400, 400]);
  });

  test('knows views of a tensor as the tensor', () => {
    const [a, y] = [shaped(10, 10), shaped(100)];
    expect(missed([read(a, y), read(viewOf(a, [100]), y)], 2 ** 20)).toEqual([400, 0]);
  });
});

describe('waits', () => {
  const copy = (x: Tensor, y: Tensor) =>
    launchOf({ kernel: 'add/main', constants: { N4: 1, WG: 64 }, bind: [x, x, y], grid: [1, 1, 1] });

  test('by the data: for a write that is read, and a read that is overwritten', () => {
    const [a, b, c, d] = [1, 2, 3, 4].map(() => shaped(64));
    const launches = [copy(a, b), copy(a, c), copy(b, d), copy(c, a), copy(d, b)];
    const plan = planMemory(launches, [], 2 ** 32);
    // The third reads b. What the fourth reads and overwrites was touched before that wait.
    expect(waitsOf(launches, plan, []).needed).toEqual([true, false, true, false, true]);
  });

  test('by Dawn: whatever writes a buffer that was ever used', async () => {
    const device = await deviceOnPaper(PLAIN);
    const kept = ['x', 'y', 'z'].map((label) => allocate(device, [64], label));
    const [x, y, z] = kept;
    const launches = [copy(x, y), copy(x, z)];
    const plan = planMemory(launches, [], 2 ** 32);
    expect(waitsOf(launches, plan, []).placed).toEqual([true, true]);
    // What nobody writes is never waited for.
    const reader = { ...launches[0], writes: [false, false, false] };
    expect(waitsOf([reader], plan, []).placed).toEqual([false]);
    expect(waitsOf([reader], plan, [x]).placed).toEqual([true]);
  });
});
