import { describe, expect, test } from 'vitest';
import type { Variants } from '../engine/device/device.ts';
import { cutFor, type Extents, tileConstants, tileFor } from '../engine/ops/conv2d/tile.ts';
import { sumRows } from '../engine/ops/sumRows.ts';
import { withRecorder } from '../engine/record/recorder.ts';
import { release, type Tensor } from '../engine/record/tensor.ts';
import { evaluate, tensorFrom } from '../engine/run/transfer.ts';
import { cases as adam } from './cases/adam.ts';
import { cases as conv2d } from './cases/conv2d.ts';
import { cases as conv2dSpectrum, large as spectral } from './cases/conv2dSpectrum.ts';
import { cases as linear } from './cases/linear.ts';
import { large as norm } from './cases/norm.ts';
import { cases as spectralNorm } from './cases/spectralNorm.ts';
import { type OpCase, values } from './cases/types.ts';
import { useDevice } from './device.ts';
import { difference, resultsOf } from './engine/results.ts';
import { traceCase } from './engine/traceCase.ts';

// Several ops tile their work otherwise on a processor that emulates a GPU than on a GPU. Each machine runs
// one of the two: here both tilings run on whatever there is, and must agree.

const gpu = useDevice();

/** Outputs and gradients with the tiling for a processor or for a GPU. */
async function compute(
  c: OpCase,
  inputs: Record<string, Tensor>,
  seeds: Tensor[],
  isCpu: boolean,
  forced: Variants = {},
) {
  const device = gpu.device as { isCpu: boolean; sharedKernels: boolean };
  const { isCpu: truth, sharedKernels } = device;
  Object.assign(device, { isCpu, sharedKernels: isCpu });
  gpu.device.variants = forced;
  try {
    return await evaluate(gpu.device, () => resultsOf(c, inputs, seeds));
  } finally {
    Object.assign(device, { isCpu: truth, sharedKernels });
    gpu.device.variants = {};
  }
}

/** The transforms around Winograd's products. */
const winograd = conv2d.filter(({ variants }) => variants?.includes('winograd/tiles'));

/** Sums that a GPU gets in parts: with classes that lack taps, odd sizes, whole vec4, and one channel. */
const SPLIT = [
  '3x3 stride 2, 70 to 131',
  '3x3, 132 to 136, batch 2',
  '4x4 stride 1, 40 to 1, bias, batch 3',
  'spectral norm: few positions, many weights',
];
const split = [...conv2d, ...conv2dSpectrum].filter(({ name }) => SPLIT.includes(name));

/** Paths for GPUs: sums over parts, strides, a doubled picture, a linear layer of patches. */
const THIN = [
  ['7x7 features 8 to 3, bias, leaky, batch 2, six parts', 'taps'],
  ['4x4 stride 2, odd size, 3 to 4', 'taps'],
  ['3x3 doubled pictures 2 to 8, batch 2', 'taps'],
  ['4x4 stride 1, 40 to 1, bias, batch 3', 'columns'],
];

/** Column sums: of as many rows as one invocation adds up, or a team, or groups of teams. */
const sums: OpCase[] = [
  [7, 12],
  [33, 5],
  [512, 260],
  [513, 8],
  [4500, 7],
  [131100, 4],
].map(([rows, columns], i) => ({
  op: 'sumRows',
  name: `${rows} rows of ${columns}`,
  inputs: { x: values([rows, columns], 950 + i) },
  run: (t) => [sumRows(t.x)],
  reference: ({ x }) => [{ shape: [columns], data: x.data.slice(0, columns) }],
  grad: [],
}));

type Results = Awaited<ReturnType<typeof compute>>;

/** Calls `work` with a way to compute the case. */
async function uploaded(
  c: OpCase,
  work: (computeAs: (isCpu: boolean, forced?: Variants) => Promise<Results>) => Promise<void>,
): Promise<void> {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { data, shape }] of Object.entries(c.inputs)) {
    inputs[name] = tensorFrom(gpu.device, Float32Array.from(data), shape, name);
  }
  const seeds = c.reference(c.inputs).map(({ shape }, i) => {
    return tensorFrom(gpu.device, Float32Array.from(values(shape, 900 + i).data), shape, `dy${i}`);
  });
  await work((isCpu, forced) => compute(c, inputs, seeds, isCpu, forced));
  for (const tensor of [...Object.values(inputs), ...seeds]) release(gpu.device, tensor);
}

/** Cases whose two tilings must agree, and the way that both are told to compute, if any. */
const alike: (readonly [OpCase, Variants])[] = [
  ...[...linear, ...norm, ...sums, ...spectralNorm, ...adam, ...spectral].map((c) => [c, {}] as const),
  ...winograd.map((c) => [c, { conv2d: 'winograd/tiles' }] as const),
  ...split.map((c) => [c, { conv2d: 'gather/tiles' }] as const),
  ...THIN.map(([name, path]) => [conv2d.find((c) => c.name === name)!, { conv2d: path }] as const),
];

for (const [c, forced] of alike) {
  describe(c.op, () => {
    test([c.name, ...Object.values(forced)].join(', '), () =>
      uploaded(c, async (computeAs) => {
        const onCpu = await computeAs(true, forced);
        const onGpu = await computeAs(false, forced);
        for (const name of Object.keys(onCpu)) {
          expect(difference(onCpu[name], onGpu[name]), name).toBeLessThan(c.gradTolerance ?? 2e-6);
        }
      }),
    );
  });
}

describe('a tile of 128 x 128 whose invocations are placed otherwise, and which is deeper,', () => {
  const ways = { tileLanes: 'pairs', tileDepth: 'deep' };
  const c = conv2d.find(({ name }) => name.startsWith('3x3, 132 to 136'))!;

  test('adds the same', () =>
    uploaded(c, async (computeAs) => {
      const large = { conv2d: 'gather/tiles/large' };
      const expected = await computeAs(false, large);
      const found = await computeAs(false, { ...large, ...ways });
      for (const name of Object.keys(expected)) {
        // Compilers of GPUs may contract other sums in another text.
        const most = gpu.device.isCpu ? 0 : 1e-6;
        expect(difference(expected[name], found[name]), name).toBeLessThanOrEqual(most);
      }
    }));

  test('has its constants only where a GPU has room for them', () => {
    const constantsOn = (isCpu: boolean, bytes: number) => {
      const limits = { ...gpu.device.gpu.limits, maxComputeWorkgroupStorageSize: bytes };
      const device = { ...gpu.device, isCpu, gpu: { limits } as unknown as GPUDevice };
      device.variants = ways;
      return ([128, 64] as const).map((columns) => {
        return withRecorder(device, () => tileConstants({ rows: 128, columns })).result;
      });
    };
    const [large, tall] = [true, false].map((WIDE) => ({ TALL: true, WIDE }));
    expect(constantsOn(false, 32768)).toEqual([
      { ...large, PAIRS: true, DEEP: true },
      { ...tall, PAIRS: true },
    ]);
    expect(constantsOn(false, 16384)).toEqual([
      { ...large, PAIRS: true },
      { ...tall, PAIRS: true },
    ]);
    expect(constantsOn(true, 32768)).toEqual([large, tall]);
  });
});

describe('tiles of a convolution', () => {
  const on = <T>(isCpu: boolean, choose: () => T) => withRecorder({ ...gpu.device, isCpu }, choose).result;
  const sizeOf = ({ rows, columns }: { rows: number; columns: number }) => [rows, columns];
  const tileOn = (isCpu: boolean, rows: number, columns: number, layers = 1) => {
    const extents: Extents = { rows, columns, layers };
    return sizeOf(on(isCpu, () => tileFor(extents)));
  };
  const cutOn = (rows: number, columns: number, depth: number) => {
    const extents = { rows, columns, layers: 1, steps: Math.ceil(depth / 16), stepDepth: 16 };
    return on(false, () => cutFor(extents));
  };

  test('are large where a GPU gets whole waves of them', () => {
    expect(tileOn(false, 256 * 256, 128)).toEqual([128, 128]);
    expect(tileOn(false, 128 * 132, 128)).toEqual([128, 128]);
    expect(tileOn(false, 128 * 133, 128)).not.toEqual([128, 128]);
    expect(tileOn(false, 64 * 64, 256)).not.toEqual([128, 128]);
  });

  test('are no larger than the result', () => {
    expect(tileOn(false, 256 * 256, 64)).toEqual([128, 64]);
    expect(tileOn(false, 64, 64, 1000)).toEqual([64, 64]);
    expect(tileOn(false, 130, 130, 1000)).toEqual([64, 64]);
  });

  test('are small on a processor', () => {
    expect(tileOn(true, 256 * 256, 128)).toEqual([64, 64]);
  });

  test('share a long sum where they would not fill a GPU', () => {
    const { tile, splits, splitSteps } = cutOn(98, 2048, 16384);
    expect([...sizeOf(tile), splits, splitSteps]).toEqual([128, 128, 8, 128]);
    expect(cutOn(256 * 256, 128, 16384).splits).toBe(1);
    expect(cutOn(98, 2048, 128).splits).toBe(1);
  });

  test('share no sum whose parts would take more memory than WebGPU promises', () => {
    expect(cutOn(2 ** 18, 80, 16384).splits).toBe(1);
  });

  test('share sums on a GPU only', () => {
    expect(split).toHaveLength(SPLIT.length);
    for (const c of split) {
      const [onGpu, onCpu] = [false, true].map((isCpu) => {
        const device = { ...gpu.device, isCpu, variants: { conv2d: 'gather/tiles' } };
        const products = traceCase(device, c).filter(({ kernel }) => kernel?.name === 'conv2d/tiledRows');
        return products.map(({ grid }) => grid[2]);
      });
      expect(onCpu).toHaveLength(2);
      expect(onGpu[0], `${c.name}: forward`).toBeGreaterThan(onCpu[0]);
    }
  });
});

test.each(['gather/tiles', 'columns'])(
  '%s, and tiles back, divide by sigma and add outer products',
  (path) => {
    const variants = { 'conv2d.forward': path, conv2d: 'gather/tiles' };
    const device = { ...gpu.device, isCpu: false, variants };
    const fitting = conv2dSpectrum.filter(({ variants }) => variants?.includes(path));
    expect(fitting.length).toBeGreaterThan(0);
    for (const c of fitting) {
      const launched = traceCase(device, c).map(({ kernel }) => kernel!.name);
      expect(launched, c.name).toContain('conv2d/tiledWeights');
      expect(launched, c.name).not.toContain('conv2d/divideSamples');
      expect(launched, c.name).not.toContain('conv2d/addOuter');
    }
  },
);
