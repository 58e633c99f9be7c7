import { describe, expect, test } from 'vitest';
import { convCases } from '../../bench/cases/conv2d.ts';
import type { Variants } from '../../engine/device/device.ts';
import { choicesOf } from '../../engine/measure/tune.ts';
import { release } from '../../engine/record/tensor.ts';
import { evaluate, tensorFrom } from '../../engine/run/transfer.ts';
import { cases as conv2d } from '../cases/conv2d.ts';
import { cases as conv2dSpectrum } from '../cases/conv2dSpectrum.ts';
import { type OpCase, values } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { difference, resultsOf } from './results.ts';
import { traceCase } from './traceCase.ts';

// Each pass of a convolution may go by a path of its own.

const gpu = useDevice();

const byPaths = (forward: string, backwardInput: string, backwardWeight: string): Variants => ({
  'conv2d.forward': forward,
  'conv2d.backwardInput': backwardInput,
  'conv2d.backwardWeight': backwardWeight,
});

async function compute(c: OpCase, variants: Variants) {
  const upload = (name: string, { data, shape }: ReturnType<typeof values>) =>
    tensorFrom(gpu.device, Float32Array.from(data), shape, name);
  const inputs = Object.fromEntries(Object.entries(c.inputs).map(([name, v]) => [name, upload(name, v)]));
  const seeds = c.reference(c.inputs).map(({ shape }, i) => upload(`dy${i}`, values(shape, 900 + i)));
  gpu.device.variants = variants;
  try {
    return await evaluate(gpu.device, () => resultsOf(c, inputs, seeds));
  } finally {
    gpu.device.variants = {};
    for (const tensor of [...Object.values(inputs), ...seeds]) release(gpu.device, tensor);
  }
}

/** What divides by sigma itself, and what has it done before: in either pass, and both ways round. */
const MIXTURES = [
  byPaths('winograd/tiles', 'columns', 'gather/tiles'),
  byPaths('gather/tiles', 'gather/tiles', 'winograd/tiles'),
  byPaths('columns', 'winograd/tiles', 'gather/tiles'),
];

describe('passes of a convolution by different paths compute what one path does', () => {
  const names = ['spectral norm: 3x3, relu', '3x3 odd sizes, batch 3, 8 to 12, relu'];
  for (const c of [...conv2d, ...conv2dSpectrum].filter(({ name }) => names.includes(name))) {
    test(c.name, async () => {
      const expected = await compute(c, { conv2d: 'naive' });
      for (const variants of MIXTURES) {
        const found = await compute(c, variants);
        for (const name of Object.keys(expected)) {
          const what = `${name} by ${Object.values(variants)}`;
          expect(difference(expected[name], found[name]), what).toBeLessThan(2e-6);
        }
      }
    });
  }
});

test('both gradients share the tiles of dy, whatever multiplies them', () => {
  const c = conv2d.find(({ name }) => name === '3x3, 64 channels')!;
  const variants = byPaths('winograd/tiles', 'winograd/tiles/small', 'winograd/tiles/large');
  const launched = traceCase({ ...gpu.device, variants }, c).map(({ kernel }) => kernel!.name);
  expect(launched.filter((name) => name === 'conv2d/winograd/outputBackward')).toHaveLength(1);
  expect(launched.filter((name) => name === 'conv2d/winograd/productTiled')).toHaveLength(3);
});

test('the bench has the tuner try each case in the passes that it times', () => {
  const device = { ...gpu.device, isCpu: false, subgroupSize: 32 };
  const cases = convCases(64, 16);
  for (const c of cases) {
    const passes = choicesOf(device, (paper) => c.onPaper!(paper)).map(({ op }) => op.replace('conv2d.', ''));
    const all = ['forward', 'backwardInput', 'backwardWeight'];
    const expected = c.pass === 'training' ? all : [...new Set(['forward', c.pass])];
    // A product with few positions and many weights has one way to go.
    if (passes.length > 0) expect(passes.sort(), `${c.name} ${c.pass}`).toEqual(expected.sort());
  }
  expect(cases.length).toBeGreaterThan(20);
});
