import { describe, expect, test } from 'vitest';
import { learningRate } from '../../train/schedule.ts';
import { useDevice } from '../device.ts';
import { goldenFiles, openGolden, torchOpErrors } from './golden.ts';
import { casesOf, OP_NAMES, type OpError, opErrors } from './ops.ts';
import { skippedWithoutShared } from './skips.ts';
import { STATEFUL, statefulErrors } from './stateful.ts';

const gpu = useDevice();

/** ‖difference‖ / ‖reference‖, and that of sums of few terms. */
const LIMIT = 2e-5;
const FEW_TERMS = 1e-6;
/**
 * The gradient of a plane of two pixels is what eps leaves of a difference that cancels to 1e-5 of its terms:
 * PyTorch's float32 misses it by 4e-3, and no float32 code can do much better.
 */
const CANCELS = /^instance_norm\/.*_(1x2|2x1)_.*g_x$/;
const TIMES_TORCH = 2;
/** Ops that divide by a standard deviation or a norm. */
const STATISTICS = new Set(['instance_norm', 'iln', 'adailn', 'spectral_norm']);

/** Kernels of conv2d beside the one chosen; each takes what it can and leaves the rest to the default. */
const CONV_VARIANTS = [
  ...[
    'winograd/textures',
    'winograd/tiles',
    'winograd/tiles/large',
    'gather/textures',
    'gather/tiles',
    'gather/tiles/large',
    'taps',
    'naive',
  ],
];

function check(what: string, errors: OpError[], torch: Record<string, number>): void {
  const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
  console.log(`${what}: ${errors.length} tensors, worst ${worst.error.toExponential(1)} ${worst.name}`);
  for (const { op, name, error } of errors) {
    const limit = STATISTICS.has(op) ? LIMIT : FEW_TERMS;
    expect(error, name).toBeLessThan(CANCELS.test(name) ? TIMES_TORCH * torch[name] : limit);
  }
}

describe('ops against PyTorch in float64', () => {
  skippedWithoutShared();
  for (const { set, path } of goldenFiles('', 'ops.f64.safetensors')) {
    const golden = openGolden(path);
    const torch = torchOpErrors(set);
    for (const op of OP_NAMES) {
      const variants = op === 'conv' || op === 'upconv' ? ['default', ...CONV_VARIANTS] : ['default'];
      for (const variant of variants) {
        test(`${set}: ${op} (${variant})`, async () => {
          const cases = casesOf(golden, op);
          expect(cases.length).toBeGreaterThan(0);
          gpu.device.variants = variant === 'default' ? {} : { conv2d: variant };
          const errors: OpError[] = [];
          for (const name of cases) errors.push(...(await opErrors(gpu.device, golden, name)));
          gpu.device.variants = {};
          check(`${set} ${op} (${variant})`, errors, torch);
        });
      }
    }
    for (const op of STATEFUL) {
      test(`${set}: ${op}`, async () => {
        const cases = casesOf(golden, op);
        expect(cases.length).toBeGreaterThan(0);
        const errors: OpError[] = [];
        for (const name of cases) errors.push(...(await statefulErrors(gpu.device, golden, name)));
        check(`${set} ${op}`, errors, torch);
      });
    }
  }
});

/** The authors' loop: at each step of the second half one decrement, before the updates. */
function authorsRates(iterations: number, lr0: number): number[] {
  const half = Math.floor(iterations / 2);
  let lr = lr0;
  return Array.from({ length: iterations }, (_, i) => (i + 1 > half ? (lr -= lr0 / half) : lr));
}

describe('learning rate over a whole run', () => {
  test.each([2, 10, 1000, 1_000_000])('%d iterations as in the authors’ loop', (iterations) => {
    const theirs = authorsRates(iterations, 1e-4);
    const off = theirs.map((lr, i) => Math.abs(learningRate(i + 1, iterations, 1e-4) - Math.max(0, lr)));
    expect(off.reduce((a, b) => Math.max(a, b))).toBeLessThan(1e-9 * 1e-4);
  });

  test('an odd count ends at 0, where theirs turns negative', () => {
    const theirs = authorsRates(11, 1e-4);
    expect(theirs[10]).toBeLessThan(0);
    expect(learningRate(10, 11, 1e-4)).toBeCloseTo(theirs[9], 15);
    expect(learningRate(11, 11, 1e-4)).toBe(0);
    expect(learningRate(1, 1, 1e-4)).toBe(1e-4);
    expect(learningRate(11, 11, 1e-4, false)).toBe(1e-4);
  });
});
