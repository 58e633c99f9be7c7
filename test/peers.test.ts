import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PeerCase, peerCases } from '../bench/peers/cases.ts';
import { type Child, reasonOf, startChild } from '../bench/peers/child.ts';
import { FRAMEWORKS } from '../bench/peers/frameworks.ts';
import { TO_NCHW, TO_NHWC, transpose } from '../bench/peers/layout.ts';
import { type HostTensors, type Request, readTensors, writeTensors } from '../bench/peers/protocol.ts';
import { differenceOf, type PeerResult, race } from '../bench/peers/race.ts';
import { markdownReport, type PeerReport, printReport } from '../bench/peers/report.ts';
import { values } from './cases/types.ts';

// The frameworks themselves are not installed here: what is ours is tested, with adawn's own worker and with
// workers made of a few lines.

const root = fileURLToPath(new URL('..', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adawn-peers-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function peers(...args: string[]) {
  const all = ['--import', 'tsx', 'bench/peers/main.ts', ...args];
  const run = promisify(execFile)(process.execPath, all, { cwd: root, maxBuffer: 2 ** 24 });
  return run.catch((failed: { stdout: string; stderr: string; code: number }) => failed);
}

const random = (shape: readonly number[], seed: number) => ({
  shape,
  data: Float32Array.from(values(shape, seed).data),
});

describe('npm run bench:peers', () => {
  test('refuses unknown frameworks, cases that are not there, and no rounds', async () => {
    expect((await peers('--only', 'adawn,caffe')).stderr).toMatch(/error: --only caffe: .*adawn, jax-js/);
    expect((await peers('--filter', 'nonsense')).stderr).toMatch(/error: --filter nonsense: no case/);
    expect((await peers('--rounds', '0')).stderr).toMatch(/error: --rounds must be a whole number/);
  });

  test('lists cases', async () => {
    const { stdout } = await peers('--list', '--filter', 'conv3x3');
    expect(stdout.trim().split('\n')).toHaveLength(4);
  });

  test('measures adawn on one layer, and writes JSON and page', async () => {
    const json = join(folder, 'peers.json');
    const args = ['--only', 'adawn', '--filter', 'instance_256_64 training', '--rounds', '3'];
    const { stdout } = await peers(...args, '--json', json, '--out', folder);
    expect(stdout).toMatch(/instance_256_64 +training +\d/);
    const { header, results } = JSON.parse(await readFile(json, 'utf8')) as PeerReport;
    expect(header.adapter).not.toBe('unknown');
    expect(results.map((r) => [r.framework, r.problem, r.samples])).toEqual([['adawn', null, 3]]);
    expect(results[0].ms_min).toBeGreaterThan(0);
    expect(results[0].ms).toBeGreaterThanOrEqual(results[0].ms_min!);
    expect(await readFile(join(folder, 'peers.md'), 'utf8')).toMatch(/\| instance_256_64 \| training \| \d/);
  });
});

/** A convolution with reflection and its gradients by definition, one tap at a time. */
function convByDefinition({ x, w, dy }: HostTensors, pad: number, stride: number): HostTensors {
  const [, ci, h, wide] = x.shape;
  const [co, , k] = w.shape;
  const [, , oh, ow] = dy.shape;
  const back = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);
  const zeros = ({ shape, data }: { shape: readonly number[]; data: Float32Array }) => ({
    shape,
    data: new Float32Array(data.length),
  });
  const [y, dx, dw] = [zeros(dy), zeros(x), zeros(w)];
  for (let at = 0; at < co * oh * ow * ci * k * k; at++) {
    const o = Math.floor(at / (oh * ow * ci * k * k));
    const r = Math.floor(at / (ow * ci * k * k)) % oh;
    const c = Math.floor(at / (ci * k * k)) % ow;
    const i = Math.floor(at / (k * k)) % ci;
    const [kr, kc] = [Math.floor(at / k) % k, at % k];
    const row = back(r * stride + kr - pad, h);
    const from = (i * h + row) * wide + back(c * stride + kc - pad, wide);
    const tap = ((o * ci + i) * k + kr) * k + kc;
    const to = (o * oh + r) * ow + c;
    y.data[to] += x.data[from] * w.data[tap];
    dx.data[from] += dy.data[to] * w.data[tap];
    dw.data[tap] += dy.data[to] * x.data[from];
  }
  return { y, dx, dw };
}

const layerTask = { kind: 'conv', backward: true, pad: 1, stride: 2 } as const;
const small: PeerCase = {
  ...{ name: 'small', pass: 'training', shape: '', flops: 1e6, tolerance: 1e-5 },
  task: { ...layerTask, ch: 0, nRes: 0, disLayers: [0, 0], iterations: 0 },
  inputs: () => ({ x: random([1, 3, 8, 6], 1), w: random([5, 3, 4, 4], 2), dy: random([1, 5, 4, 3], 3) }),
};

test("adawn's worker computes a convolution and its gradients in PyTorch's order", async () => {
  const child = startChild('adawn', FRAMEWORKS.find(({ name }) => name === 'adawn')!.command, 60_000);
  const [inputs, results] = ['in', 'out'].map((name) => join(folder, `${name}.safetensors`));
  try {
    writeTensors(inputs, small.inputs());
    await child.ask({ do: 'open', task: small.task, inputs, results });
    const found = readTensors(results);
    expect(Object.keys(found).sort()).toEqual(['dw', 'dx', 'y']);
    const difference = differenceOf(found, convByDefinition(small.inputs(), 1, 2));
    expect(difference).toBeGreaterThan(0); // two ways to compute it, not one
    expect(difference).toBeLessThan(1e-5);
    expect((await child.ask({ do: 'sample', repeats: 2, expected: 0 })).ms).toBeGreaterThan(0);
    await child.ask({ do: 'close' });
    await expect(child.ask({ do: 'sample', repeats: 1, expected: 0 })).rejects.toThrow(/no case is open/);
  } finally {
    await child.end();
  }
});

/** A framework that gives `results` and a time. */
function pretend(name: string, results: HostTensors, ms: number, log: string[] = []): Child {
  return {
    name,
    async ask(request: Request) {
      if (request.do === 'open') writeTensors(request.results, results);
      if (request.do === 'sample') log.push(`${name} ${request.repeats}`);
      return request.do === 'sample' ? { ms } : {};
    },
    alive: () => true,
    end: async () => {},
  };
}

describe('a race', () => {
  const right = { y: { shape: [3], data: Float32Array.of(1, 2, 2) } };
  const wrong = { y: { shape: [3], data: Float32Array.of(1, 2, 2.3) } };
  const options = { rounds: 3, sampleMs: 10, budgetMs: 1e4 };

  test('takes turns, each round begun by another framework', async () => {
    const log: string[] = [];
    const children = ['a', 'b', 'c'].map((name, i) => pretend(name, right, 4 + i, log));
    const results = await race(children, small, { ...options, folder });
    const turns = log.slice(-9).map((entry) => entry[0]);
    expect(turns.join('')).toBe('abcbcacab');
    expect(log.at(-9)).toBe('a 3'); // 4 ms, three times in a sample of 10
    expect(results.map((r) => [r.ms, r.samples, r.difference])).toEqual([
      [4, 3, null],
      [5, 3, 0],
      [6, 3, 0],
    ]);
    expect(results[0].gflops).toBeCloseTo(1e6 / 4 / 1e6);
  });

  test('gives a slow framework two samples, and a wrong or failing one no time', async () => {
    const slow = pretend('slow', right, 6000);
    const failing: Child = { ...slow, name: 'failing', ask: () => Promise.reject(new Error('it fell')) };
    const children = [pretend('ok', right, 5), slow, pretend('wrong', wrong, 5), failing];
    const results = await race(children, small, { ...options, rounds: 9, folder });
    expect(results.map(({ samples }) => samples)).toEqual([9, 2, 0, 0]);
    expect(results[2].ms).toBeNull();
    expect(results[2].problem).toMatch(/wrong: differs by 0\.1/);
    expect(results[3].problem).toBe('it fell');
  });

  test('is not content with missing, misshapen, empty or undefined numbers', () => {
    expect(() => differenceOf({}, right)).toThrow(/gave no y/);
    expect(() => differenceOf(right, {})).toThrow(/nothing to compare/);
    expect(() => differenceOf({ y: { ...right.y, shape: [1, 3] } }, right)).toThrow(
      /y is \[1,3\], not \[3\]/,
    );
    const undefinedNumbers = { y: { shape: [3], data: Float32Array.of(1, Number.NaN, 2) } };
    expect(differenceOf(undefinedNumbers, right)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a worker', () => {
  const script = (code: string) => startChild('script', [process.execPath, '-e', code], 2000);

  test('that ends, keeps silent or fails is named with the reason', async () => {
    const ends = script('console.error("Error: no adapter here"); process.exit(3)');
    await expect(ends.ask({ do: 'hello' })).rejects.toThrow(/its process ended: Error: no adapter here/);
    expect(ends.alive()).toBe(false);
    await expect(script('setTimeout(() => {}, 1e5)').ask({ do: 'hello' })).rejects.toThrow(
      /no answer in 2 s/,
    );
    const missing = startChild('missing', ['/nowhere/python3'], 2000);
    await expect(missing.ask({ do: 'hello' })).rejects.toThrow(/its process ended/);
    expect(reasonOf('Traceback\n  File "x"\nValueError: bad value\n')).toBe('ValueError: bad value');
  });
});

test('axes change places and come back', () => {
  const x = random([2, 3, 4, 5], 7);
  const there = transpose(x, TO_NHWC);
  expect(there.shape).toEqual([2, 4, 5, 3]);
  expect(there.data[((1 * 4 + 2) * 5 + 3) * 3 + 1]).toBe(x.data[((1 * 3 + 1) * 4 + 2) * 5 + 3]);
  expect(transpose(there, TO_NCHW)).toEqual(x);
});

test('cases: names are unique, inputs fit, and forward is told no cotangent', () => {
  const cases = peerCases();
  expect(new Set(cases.map((c) => `${c.name} ${c.pass}`)).size).toBe(cases.length);
  expect(cases).toHaveLength(16);
  for (const c of cases.filter(({ name }) => /_16$|step|generator/.test(name))) {
    const inputs = c.inputs();
    expect('dy' in inputs).toBe(c.pass === 'training');
    for (const { shape, data } of Object.values(inputs)) {
      expect(data.length).toBe(shape.reduce((p, d) => p * d, 1));
    }
  }
});

test('the report says who is faster, what has no time, and who is missing', () => {
  const result = (framework: string, ms: number | null, problem: string | null = null): PeerResult => ({
    ...{ case: 'layer', pass: 'forward', framework, ms, ms_min: ms, samples: 3, gflops: null },
    ...{ difference: framework === 'pytorch' ? null : 2e-7, problem },
  });
  const hello = { version: '9.9', details: { threads: '7' } };
  const report: PeerReport = {
    header: {
      ...{ adapter: 'card', driver: 'driver 1', dawn: '0.6', processor: 'cpu', cores: 7, load: [0, 2] },
      ...{ date: '2026-11-24T10:00:00Z', commit: 'abc', node: 'v20', rounds: 3, budget_ms: 1500, took_s: 9 },
    },
    frameworks: [
      { name: 'pytorch', title: 'PyTorch, CPU', hello, missing: null },
      { name: 'adawn', title: 'adawn', hello, missing: null },
      { name: 'jax-js', title: 'jax-js', hello, missing: null },
      { name: 'tfjs', title: 'TensorFlow.js', hello: null, missing: 'is not here' },
    ],
    results: [result('pytorch', 5), result('adawn', 10), result('jax-js', null, 'wrong: by 3')],
  };
  expect(printReport(report)).toMatch(
    /layer +forward +5\.00 +10\.0 +no time +0\.50x *\n.*jax-js: wrong: by 3/,
  );
  const page = markdownReport(report);
  expect(page).toContain('| layer | forward | 5.00 | 10.0 | no time | 0.50x |  |');
  expect(page).toContain('| TensorFlow.js | is not here |');
  expect(page).toContain('| PyTorch, CPU | 9.9, threads 7 |');
  expect(page).toContain('- layer forward, jax-js: wrong: by 3');
  expect(page).not.toMatch(/undefined|NaN|null/);
});
