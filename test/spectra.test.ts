import { describe, expect, test } from 'vitest';
import { ShapeError } from '../engine/errors.ts';
import { spectra } from '../engine/ops/spectralNorm.ts';
import { withRecorder } from '../engine/record/recorder.ts';
import { elements } from '../engine/record/shape.ts';
import { allocate, flatBuffer, release, type Tensor } from '../engine/record/tensor.ts';
import { evaluate, read, upload } from '../engine/run/transfer.ts';
import { powerIteration, type SpectralState } from './cases/spectralNorm.ts';
import { type HostArray, values } from './cases/types.ts';
import { useDevice } from './device.ts';

// The weights of a network under spectral norm, in the flat buffers they have in training: all at once.

const gpu = useDevice();

const SHAPES = [
  [1, 132],
  [16, 4, 4, 4],
  [300, 12],
  [6, 5000],
  [1, 64],
];

/** Weights, u and v in three flat buffers, with a tensor between them that is none of theirs. */
function network(shapes: readonly number[][]) {
  const ws = shapes.map((shape, i) => values(shape, 1100 + i, 0.3));
  const us = shapes.map(([O], i) => values([O], 1120 + i));
  const vs = ws.map(({ data }, i) => values([data.length / shapes[i][0]], 1140 + i));
  const flat = (list: HostArray[], label: string) => {
    const parts = list.flatMap(({ shape }, i) => [
      { label: `${label}${i}`, shape },
      { label: `bias${i}`, shape: [3] },
    ]);
    const made = flatBuffer(gpu.device, parts, label);
    const views = list.map((_, i) => made.views[2 * i]);
    for (const [i, { data }] of list.entries()) upload(gpu.device, views[i], Float32Array.from(data));
    return { views, free: () => gpu.device.pool.release(made.buffer) };
  };
  const [w, u, v] = [flat(ws, 'w'), flat(us, 'u'), flat(vs, 'v')];
  const layers = shapes.map((_, i) => ({ w: w.views[i], u: u.views[i], v: v.views[i] }));
  const free = () => {
    for (const group of [w, u, v]) group.free();
  };
  return { ws, us, layers, free };
}

function closeTo(found: Float32Array, expected: Float64Array, what: string): void {
  const size = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - found[i]))) / size;
  expect(worst, what).toBeLessThan(3e-6);
}

/** Power iterations of one layer, one after the other. */
function iterations(w: HostArray, u: HostArray, calls: number): SpectralState[] {
  const states: SpectralState[] = [];
  for (let call = 0; call < calls; call++) states.push(powerIteration(w, states[call - 1]?.u ?? u.data));
  return states;
}

async function check(calls: number, shapes: readonly number[][]): Promise<void> {
  const { ws, us, layers, free } = network(shapes);
  const found = await evaluate(gpu.device, () => {
    const all = spectra(layers, { calls, update: true });
    return Object.fromEntries<Tensor>(
      all.flatMap(
        ({ sigma, u, v }, i) =>
          [
            [`sigma${i}`, sigma],
            [`u${i}`, u],
            [`v${i}`, v],
          ] as const,
      ),
    );
  });
  for (const [i, w] of ws.entries()) {
    const states = iterations(w, us[i], calls);
    const all = (name: 'u' | 'v') => Float64Array.from(states.flatMap((state) => [...state[name]]));
    closeTo(found[`sigma${i}`], Float64Array.from(states.map(({ sigma }) => sigma)), `sigma of layer ${i}`);
    closeTo(found[`u${i}`], all('u'), `u of layer ${i}`);
    closeTo(found[`v${i}`], all('v'), `v of layer ${i}`);
    const last = states[calls - 1];
    closeTo(await read(gpu.device, layers[i].u), last.u, `persistent u of layer ${i}`);
    closeTo(await read(gpu.device, layers[i].v), last.v, `persistent v of layer ${i}`);
  }
  free();
}

describe('spectra of a network', () => {
  for (const calls of [1, 3]) {
    test(`${calls} calls`, () => check(calls, SHAPES));

    test(`${calls} calls, tiled for a GPU`, async () => {
      const device = gpu.device as { isCpu: boolean };
      const truth = device.isCpu;
      device.isCpu = false;
      await check(calls, SHAPES).finally(() => {
        device.isCpu = truth;
      });
    });

    test(`${calls} calls, some layers with rows that are no whole vec4s`, () =>
      check(calls, [...SHAPES, [5, 7], [8, 4, 4, 3]]));
  }

  test('take three launches a call, however many the layers', () => {
    const { layers, free } = network(SHAPES);
    const launches = (calls: number, update: boolean) =>
      withRecorder(gpu.device, () => spectra(layers, { calls, update })).recorded.launches.length;
    const once = launches(1, true);
    expect(once).toBeLessThanOrEqual(4);
    expect(launches(2, true)).toBe(2 * once);
    expect(launches(1, false)).toBe(2);
    free();
  });

  test('of layers in buffers of their own', async () => {
    const w = allocate(gpu.device, [4, 8], 'w');
    const [u, v] = [allocate(gpu.device, [4], 'u'), allocate(gpu.device, [8], 'v')];
    const identity = new Float32Array(32).map((_, i) => (i % 9 === 0 ? 3 : 0));
    upload(gpu.device, w, identity);
    upload(gpu.device, u, Float32Array.of(1, 0, 0, 0));
    const { sigma } = await evaluate(gpu.device, () => ({
      sigma: spectra(
        [
          { w, u, v },
          { w, u, v },
        ],
        { calls: 1, update: true },
      )[1].sigma,
    }));
    expect(sigma[0]).toBeCloseTo(3, 5);
    for (const tensor of [w, u, v]) release(gpu.device, tensor);
  });

  test('refuses vectors of other sizes', () => {
    const w = allocate(gpu.device, [4, 8], 'w');
    const u = allocate(gpu.device, [5], 'u');
    expect(elements(u.shape)).toBe(5);
    const build = () => withRecorder(gpu.device, () => spectra([{ w, u, v: u }], { calls: 1, update: true }));
    expect(build).toThrow(ShapeError);
    for (const tensor of [w, u]) release(gpu.device, tensor);
  });
});
