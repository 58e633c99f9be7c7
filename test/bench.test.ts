import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { benchCases } from '../bench/cases/index.ts';
import { flopsOf } from '../bench/flops.ts';
import { slugOf } from '../bench/header.ts';
import type { LaunchFile } from '../bench/launchFile.ts';
import { type AssumptionName, SAID } from '../bench/paper/assumptions.ts';
import { barChart } from '../bench/report/chart.ts';
import { runCase } from '../bench/run.ts';
import type { BenchCase, Result } from '../bench/types.ts';
import type { Device } from '../engine/device/device.ts';
import { paperDevice } from '../engine/device/paper.ts';
import { measureCeilings } from '../engine/measure/ceilings.ts';
import { closeStopwatch, openStopwatch } from '../engine/measure/timing.ts';
import { add } from '../engine/ops/add.ts';
import { conv2d } from '../engine/ops/conv2d.ts';
import { allocate } from '../engine/record/tensor.ts';
import { dispose, record } from '../engine/run/program.ts';
import { useDevice } from './device.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function bench(...args: string[]) {
  const all = ['--import', 'tsx', 'bench/main.ts', ...args];
  const run = promisify(execFile)(process.execPath, all, { cwd: root, maxBuffer: 2 ** 24 });
  return run.catch((failed: { stdout: string; stderr: string; code: number }) => failed);
}

describe('npm run bench', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adawn-bench-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('checks and times one case, and writes JSON, page and charts', async () => {
    const json = join(folder, 'bench.json');
    const out = join(folder, 'page');
    const filter = 'instance_128_16 forward';
    const { stdout } = await bench('--size', 'quick', '--filter', filter, '--json', json, '--out', out);
    expect(stdout).toMatch(/instance_128_16 +forward +default/);
    const { header, results } = JSON.parse(await readFile(json, 'utf8'));
    for (const name of ['adapter', 'driver', 'features', 'date', 'commit', 'ceilings']) {
      expect(header).toHaveProperty(name);
    }
    expect(header.ceilings.gflops).toBeGreaterThan(0);
    expect(results.map((r: Result) => r.variant)).toEqual(['default', 'naive']);
    const [fast, naive] = results as Result[];
    expect(fast.ms_min).toBeLessThanOrEqual(fast.ms!);
    expect(fast.naive_ms).toBe(naive.ms);
    expect(fast.speedup).toBeCloseTo(naive.ms! / fast.ms!, 1);
    expect(fast.error).toBeLessThan(1e-5);
    expect(fast.fraction_of_ceiling).toBeGreaterThan(0);
    expect((await readdir(out)).sort()).toEqual(['README.md', 'memory.svg', 'naive.svg', 'results.json']);
    expect(await readFile(join(out, 'README.md'), 'utf8')).toMatch(/!\[.*\]\(memory\.svg\)/);
  });

  test('lists cases, and refuses a filter that matches none', async () => {
    const { stdout } = await bench('--list', '--size', 'quick', '--filter', 'conv7x7');
    expect(stdout.trim().split('\n')).toHaveLength(8);
    const failed = await bench('--filter', 'nonsense');
    expect(failed.stderr).toMatch(/error: --filter nonsense: no case/);
    const unknown = await bench('paper', '--speed', '3');
    expect(unknown.stderr).toMatch(/^error: Unknown argument: speed \(--help shows the usage\)$/m);
    expect(unknown.stderr).not.toMatch(/ at /); // no stack
  });

  test('step: where an iteration spends its time', async () => {
    const json = join(folder, 'step.json');
    const small = ['--size', '32', '--ch', '4', '--n-res', '1', '--dis-layers', '4,3', '--iterations', '2'];
    const launches = join(folder, 'launches.json');
    const { stdout } = await bench('step', '--profile', ...small, '--json', json, '--launches', launches);
    expect(stdout).toMatch(/conv2d/);
    const report = JSON.parse(await readFile(json, 'utf8'));
    expect(report.created_later).toBe(0);
    expect(report.host_share).toBeGreaterThan(0);
    const total = report.ops.reduce((sum: number, op: { share: number }) => sum + op.share, 0);
    if (report.ops.length > 0) expect(total).toBeCloseTo(1, 5);
    const file: LaunchFile = JSON.parse(await readFile(launches, 'utf8'));
    expect(file.rows).toHaveLength(report.launches);
    expect(file).toMatchObject({
      iteration_ms: report.iteration_ms,
      toggles: [],
      config: { size: 32, ch: 4 },
    });
    const adam = file.rows.filter(({ kernel }) => kernel === 'adam/main:main');
    expect(adam[0]).toMatchObject({ label: 'adam', constants: { B2: 0.999 } });
    expect(adam[0].writes).toHaveLength(adam[0].shapes.length);
    expect(adam[0].writes[0]).toBe(true);
    expect(adam[0].ms).toBeGreaterThanOrEqual(0);
    const beside = await bench('paper', '--against', launches);
    expect(beside.stderr).toMatch(/error: --against .*is a processor/);
  });

  test('paper: what to expect of an iteration on a card that is not at hand', async () => {
    const json = join(folder, 'paper.json');
    const small = ['--size', '32', '--ch', '4', '--n-res', '1', '--dis-layers', '4,3'];
    const { stdout } = await bench('paper', '--card', 'm2', ...small, '--top', '3', '--json', json);
    for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(110);
    expect(stdout).toMatch(/Apple M2.*3\.6 TFLOP\/s/);
    expect(stdout).toMatch(/modelled +[\d.]+ ms/);
    expect(stdout).toMatch(/launches have fewer workgroups than the 10 cores/);
    expect(stdout).not.toMatch(/warning/);
    const { totals, launches, assumed } = JSON.parse(await readFile(json, 'utf8'));
    expect(launches).toHaveLength(totals.launches);
    const ms = launches.reduce((sum: number, row: { ms: number }) => sum + row.ms, 0);
    expect(ms).toBeCloseTo(totals.ms, 6);
    for (const name of Object.keys(assumed))
      expect(stdout).toContain(SAID[name as AssumptionName](assumed[name]));
  });
});

describe('a case', () => {
  const gpu = useDevice();

  /** Adds two tensors, with an error made up. */
  const made = (error: number): BenchCase => ({
    name: 'made up',
    op: 'add',
    pass: 'forward',
    shape: '[64]',
    bytes: 3 * 256,
    bound: 'memory',
    open: () => async (device: Device) => {
      const [a, b, y] = ['a', 'b', 'y'].map((label) => allocate(device, [64], label));
      const program = await record(device, () => ({ sum: add(a, b) }));
      return {
        steps: program.steps,
        check: async () => ({ error, tolerance: 1e-6 }),
        dispose() {
          dispose(program);
          for (const tensor of [a, b, y]) device.pool.release(tensor.storage!.buffer);
        },
      };
    },
  });

  test.each([
    ['right', 1e-7, false],
    ['wrong', 1e-3, true],
    ['NaN', Number.NaN, true],
  ])('that is %s', async (_, error, wrong) => {
    const watch = openStopwatch(gpu.device);
    const ceilings = await measureCeilings(watch, { quick: true });
    const timing = { samples: 2, sampleMs: 1, budgetMs: 10 };
    const [result] = await runCase(made(error), { watch, ceilings, timing, variants: false });
    expect(result.ms === null).toBe(wrong);
    expect(result.wrong !== undefined).toBe(wrong);
    ceilings.close();
    closeStopwatch(watch);
  });

  test('counts the operations of whole networks', () => {
    const networks = benchCases('quick', gpu.device).filter(({ countFlops }) => countFlops);
    expect(new Set(networks.map(({ op }) => op))).toEqual(new Set(['generator', 'step']));
    for (const { countFlops } of networks) expect(countFlops!(gpu.device)).toBeGreaterThan(1e6);
  });

  test('counts operations by the definition, whatever kernel runs', () => {
    const paper = paperDevice(gpu.device);
    const x = allocate(paper, [1, 8, 8, 16], 'x');
    const w = allocate(paper, [32, 3, 3, 16], 'w');
    const flops = flopsOf(paper, () => ({ y: conv2d(x, w, null, { pad: 1 }) }));
    expect(flops).toBe(2 * 64 * 32 * 9 * 16);
  });
});

describe('the report', () => {
  const info = (description: string, device = '') => ({ info: { description, device } as GPUAdapterInfo });

  test('lies in a folder named after adapter and driver', () => {
    expect(slugOf(info('llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1'))).toBe('llvmpipe-mesa-25.0.7');
    expect(slugOf(info('NVIDIA: 570.86.15 570.86.15.0', 'nvidia-h200'))).toBe('nvidia-h200-570.86.15');
    expect(slugOf(info(''))).toBe('adapter');
  });

  test('draws bars to scale and escapes labels', () => {
    const svg = barChart({
      title: 'a < b',
      subtitle: '',
      series: ['one'],
      groups: [{ label: '', bars: [0.5, 1].map((value) => ({ label: 'x', value, text: '', series: 0 })) }],
      marks: [],
      most: 1,
    });
    expect(svg).toContain('a &lt; b');
    const widths = [...svg.matchAll(/width="([\d.]+)" height="13" rx="2" fill/g)].map((m) => Number(m[1]));
    expect(widths[1]).toBeCloseTo(2 * widths[0], 0);
  });
});
