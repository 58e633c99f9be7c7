import { describe, expect, test } from 'vitest';
import type { Variants } from '../engine/device/device.ts';
import { type Extents, tileConstants, tileFor } from '../engine/ops/conv2d/tile.ts';
import { sumRows } from '../engine/ops/sumRows.ts';
import { withRecorder } from '../engine/record/recorder.ts';
import { release, type Tensor } from '../engine/record/tensor.ts';
import { evaluate, tensorFrom } from '../engine/run/transfer.ts';
import { cases as adam } from './cases/adam.ts';
import { cases as conv2d } from './cases/conv2d.ts';
import { large as spectral } from './cases/conv2dSpectrum.ts';
import { cases as linear } from './cases/linear.ts';
import { large as norm } from './cases/norm.ts';
import { cases as spectralNorm } from './cases/spectralNorm.ts';
import { type OpCase, values } from './cases/types.ts';
import { useDevice } from './device.ts';
import { difference, resultsOf } from './engine/results.ts';

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

/** The transforms around Winograd's products; the other paths take the same kernels everywhere. */
const winograd = conv2d.filter(({ variants }) => variants?.includes('winogradTiled'));

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

for (const c of [...linear, ...norm, ...sums, ...spectralNorm, ...adam, ...spectral, ...winograd]) {
  describe(c.op, () => {
    test(c.name, () =>
      uploaded(c, async (computeAs) => {
        const forced: Variants = winograd.includes(c) ? { conv2d: 'winogradTiled' } : {};
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
      const large = { conv2d: 'gatherTiledLarge' };
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
  const tileOn = (isCpu: boolean, rows: number, columns: number, layers = 1) => {
    const extents: Extents = { rows, columns, layers };
    const { result } = withRecorder({ ...gpu.device, isCpu }, () => tileFor(extents));
    return [result.rows, result.columns];
  };

  test('are large where a GPU gets enough of them', () => {
    expect(tileOn(false, 256 * 256, 128)).toEqual([128, 128]);
    expect(tileOn(false, 64 * 64, 256)).toEqual([64, 64]);
    expect(tileOn(false, 256, 256, 36 * 4)).toEqual([128, 128]);
  });

  test('are no larger than the result', () => {
    expect(tileOn(false, 256 * 256, 64)).toEqual([128, 64]);
    expect(tileOn(false, 64, 64, 1000)).toEqual([64, 64]);
    expect(tileOn(false, 130, 130, 1000)).toEqual([64, 64]);
  });

  test('are small on a processor', () => {
    expect(tileOn(true, 256 * 256, 128)).toEqual([64, 64]);
  });
});
