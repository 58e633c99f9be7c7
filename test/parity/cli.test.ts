import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { learningRate } from '../../train/schedule.ts';

/** Debian's Python, where python3-torch installs to. */
const PYTHON = '/usr/bin/python3';
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

function haveTorch(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import torch, numpy, PIL'], { stdio: 'ignore', timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

const torch = haveTorch();
const execute = promisify(execFile);
let root = '';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'adawn-parity-'));
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Runs a program to its end; what it printed is in the error where it fails. */
async function runProgram(program: string, args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, { cwd: REPOSITORY, timeout: 200_000 }).catch((error) => {
    throw new Error(`${args.join(' ')}\n${error.stdout}\n${error.stderr}`);
  });
  return stdout;
}

/** One of our command lines. */
const ours = (name: string, ...args: string[]) =>
  runProgram(process.execPath, ['--import', 'tsx', `cli/${name}.ts`, ...args]);

/** A mode of the PyTorch reference. */
const reference = (...args: string[]) => runProgram(PYTHON, ['test/golden/cli_reference.py', ...args]);

/** A run: options of both sides, and a seed whose ReLU and L1 switches PyTorch's rounding leaves alone. */
const RUNS = [
  { name: 'light', seed: 1, iterations: 6, model: ['--light', '--ch', '4'], pictures: ['A', 'B'] },
  { name: 'full', seed: 8, iterations: 4, model: ['--full', '--ch', '8', '--batch', '2'], pictures: ['A'] },
  { name: 'wide', seed: 2, iterations: 4, model: ['--light', '--ch', '16'], pictures: [] },
];
const COMMON = ['--n-res', '1', '--size', '32', '--dis-layers', '4,3'];

type Run = (typeof RUNS)[number];

/** What our training takes to walk the reference's data set in its order, from its weights. */
function trainArgs({ iterations, model }: Run, expected: string, out: string): string[] {
  const data = ['--data', 'small', '--data-root', join(expected, 'dataset'), '--out', out];
  const order = ['--no-augment', '--no-shuffle', '--init', join(expected, 'init.pt')];
  return [...data, ...order, '--iterations', String(iterations), ...model, ...COMMON];
}

function newest(out: string): string {
  const folder = join(out, 'checkpoints');
  return join(folder, readdirSync(folder).sort().at(-1)!);
}

/** Translates the test pictures of a domain, the same weights on both sides: every value within 1 of 255. */
async function comparePictures(domain: string, expected: string, weights: string, out: string) {
  const [from, to] = domain === 'A' ? ['A', 'B'] : ['B', 'A'];
  const input = join(expected, 'dataset/small', `test${from}`);
  const pictures = readdirSync(input).map((name) => join(input, name));
  const [left, right] = [join(out, `ours${from}`), join(out, `torch${from}`)];
  const options = ['--input', input, '--output', left, '--direction', `${from}to${to}`, '--size', '32'];
  await Promise.all([
    ours('translate', '--weights', newest(out), ...options),
    reference('translate', weights, right, ...pictures, '--direction', `${from}2${to}`),
  ]);
  console.log((await reference('pictures', left, right)).trim());
}

/** The same run stopped and resumed ends with the same bits, and its learning rate goes on where it was. */
async function checkResumed(run: Run, expected: string, out: string) {
  const halves = `${out}-resumed`;
  await ours('train', ...trainArgs(run, expected, halves), '--stop-after', '4');
  await ours('train', '--resume', '--out', halves);
  checkRates(halves, run.iterations);
  expect(readFileSync(newest(halves)).equals(readFileSync(newest(out)))).toBe(true);
}

function checkRates(out: string, iterations: number): void {
  const [header, ...lines] = readFileSync(join(out, 'metrics.csv'), 'utf8').trim().split('\n');
  const column = header.split(',').indexOf('lr');
  const rates = lines.map((line) => Number(line.split(',')[column]));
  expect(rates).toEqual(Array.from({ length: iterations }, (_, i) => learningRate(i + 1, iterations, 1e-4)));
}

describe('the command line against PyTorch', () => {
  for (const run of RUNS) {
    test(`${run.name}: a .pt in, training, a .pt and pictures out`, async ({ skip }) => {
      if (!torch) skip(`no torch, numpy and PIL in ${PYTHON} (apt-get install python3-torch python3-pil)`);
      const expected = join(root, run.name);
      const out = join(root, `${run.name}-ours`);
      const steps = ['--iterations', String(run.iterations), '--seed', String(run.seed), '--tries', '1'];
      await reference('make', expected, ...run.model, ...COMMON, ...steps);
      await ours('train', ...trainArgs(run, expected, out));
      checkRates(out, run.iterations);
      const weights = join(out, 'weights.pt');
      await ours('convert', newest(out), weights);
      const verdict = await reference('compare', weights, expected);
      console.log(`${run.name}:\n${verdict.trim().split('\n').slice(0, 4).join('\n')}`);
      for (const domain of run.pictures) await comparePictures(domain, expected, weights, out);
      if (run === RUNS[0]) await checkResumed(run, expected, out);
    }, 300_000);
  }
});
