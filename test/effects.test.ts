import { describe, expect, test } from 'vitest';
import { vjp } from '../engine/grad/autograd.ts';
import { ADAM_HYPER, type AdamOptions, adamHyper, adamStep, clampRange } from '../engine/ops/adam.ts';
import { addInto } from '../engine/ops/add.ts';
import { camPool } from '../engine/ops/cam/pool.ts';
import { linear, splitRows } from '../engine/ops/linear.ts';
import { spectralNorm } from '../engine/ops/spectralNorm.ts';
import { allocate, flatBuffer, flatRange, release, type Tensor } from '../engine/record/tensor.ts';
import { dispose, record, run } from '../engine/run/program.ts';
import { evaluate, read, tensorFrom, upload } from '../engine/run/transfer.ts';
import { adamReference } from './cases/adam.ts';
import { powerIteration, SPECTRAL_SHAPES, type SpectralState } from './cases/spectralNorm.ts';
import { type HostArray, values } from './cases/types.ts';
import { useDevice } from './device.ts';

// Ops that change persistent tensors in place, and what the finite differences of ops.test.ts cannot see.

const gpu = useDevice();

const put = ({ data, shape }: HostArray, label: string) =>
  tensorFrom(gpu.device, Float32Array.from(data), shape, label);

/** Largest difference, relative to the largest reference value. */
function worst(out: Float32Array, ref: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < ref.length; i++) {
    difference = Math.max(difference, Math.abs(out[i] - ref[i]));
    size = Math.max(size, Math.abs(ref[i]));
  }
  return difference / (size || 1);
}

/** (g − <g, W/sigma> u vᵀ) / sigma */
function spectralGradient(w: HostArray, g: HostArray, { u, v, sigma }: SpectralState): Float64Array {
  const dot = g.data.reduce((sum, value, i) => sum + (value * w.data[i]) / sigma, 0);
  return g.data.map((value, i) => (value - dot * u[Math.floor(i / v.length)] * v[i % v.length]) / sigma);
}

async function checkPowerIteration(shape: number[]): Promise<void> {
  const w = values(shape, 800, 0.3);
  const rest = w.data.length / shape[0];
  const cotangents = [1, 2, 3].map((i) => values(shape, 800 + i));
  const tensors = {
    w: put(w, 'w'),
    u: put(values([shape[0]], 804), 'u'),
    v: put(values([rest], 805), 'v'),
  };
  const seeds = cotangents.map((g, i) => put(g, `g${i}`));
  // All three forwards first, so that a backward pass that used the persistent vectors would be wrong.
  const result = await evaluate(gpu.device, () => {
    const ys = seeds.map(() => spectralNorm(tensors.w, tensors.u, tensors.v, { update: true }));
    const gs = ys.map((y, i) => vjp([y], [seeds[i]], [tensors.w])[0]);
    return Object.fromEntries([...ys.map((y, i) => [`y${i}`, y]), ...gs.map((g, i) => [`g${i}`, g])]);
  });
  let state: SpectralState = { u: values([shape[0]], 804).data, v: new Float64Array(), sigma: 0 };
  cotangents.forEach((g, i) => {
    state = powerIteration(w, state.u);
    const { sigma } = state;
    expect(
      worst(
        result[`y${i}`],
        w.data.map((x) => x / sigma),
      ),
      `w / sigma of call ${i}`,
    ).toBeLessThan(3e-6);
    expect(worst(result[`g${i}`], spectralGradient(w, g, state)), `gradient of call ${i}`).toBeLessThan(1e-5);
  });
  expect(worst(await read(gpu.device, tensors.u), state.u), 'u').toBeLessThan(3e-6);
  expect(worst(await read(gpu.device, tensors.v), state.v), 'v').toBeLessThan(3e-6);
  for (const tensor of [...Object.values(tensors), ...seeds]) release(gpu.device, tensor);
}

describe('spectralNorm: three calls advance u and v, each gradient uses its own', () => {
  for (const [name, shape] of Object.entries(SPECTRAL_SHAPES)) {
    for (const variant of ['default', 'naive']) {
      test(`${name} (${variant})`, async () => {
        gpu.device.variants = variant === 'naive' ? { spectralNorm: 'naive' } : {};
        await checkPowerIteration(shape);
        gpu.device.variants = {};
      });
    }
  }

  test('a zero weight keeps everything finite', async () => {
    const [w, u, v] = [[3, 8], [3], [8]].map((s, i) => allocate(gpu.device, s, `zero ${i}`));
    upload(gpu.device, w, new Float32Array(24));
    upload(gpu.device, u, Float32Array.of(1, 0, 0));
    await evaluate(gpu.device, () => ({ y: spectralNorm(w, u, v, { update: true }) }));
    expect(await read(gpu.device, u)).toEqual(new Float32Array(3));
    expect(await read(gpu.device, v)).toEqual(new Float32Array(8));
    for (const tensor of [w, u, v]) release(gpu.device, tensor);
  });
});

const LAYERS = [
  { label: 'weight', shape: [7, 9] },
  { label: 'bias', shape: [7] },
  { label: 'big', shape: [300, 33] },
];

/** Parameters, gradients and moments of LAYERS in four flat buffers, and their whole ranges. */
function adamBuffers() {
  const make = (label: string) => flatBuffer(gpu.device, LAYERS, label);
  const flats = { p: make('p'), g: make('g'), m: make('m'), v: make('v') };
  const whole = (name: keyof typeof flats) =>
    flatRange(flats[name], 0, flats[name].bytes / 4, `${name} range`);
  return { flats, ranges: { p: whole('p'), g: whole('g'), m: whole('m'), v: whole('v') } };
}

async function checkAdam(options: AdamOptions): Promise<void> {
  const { flats, ranges } = adamBuffers();
  const hyper = allocate(gpu.device, [ADAM_HYPER], 'hyper');
  const states = flats.p.views.map((view, i) => {
    const p = values(view.shape, 820 + i).data;
    upload(gpu.device, view, Float32Array.from(p));
    return { p, m: new Float64Array(p.length), v: new Float64Array(p.length) };
  });
  const program = await record(gpu.device, () => {
    adamStep({ ...ranges, hyper, ...options });
    return {};
  });
  expect(program.steps.length, 'launches').toBe(1);
  for (let step = 1; step <= 5; step++) {
    states.forEach((state, i) => {
      const g = values(LAYERS[i].shape, 830 + 10 * step + i, 10 ** -i);
      upload(gpu.device, flats.g.views[i], Float32Array.from(g.data));
      adamReference(state, g.data, step, 0.01 / step, options);
    });
    upload(gpu.device, hyper, adamHyper(step, 0.01 / step, options));
    run(program);
    for (const [i, state] of states.entries()) {
      for (const name of ['p', 'm', 'v'] as const) {
        const error = worst(await read(gpu.device, flats[name].views[i]), state[name]);
        expect(error, `${name} of ${LAYERS[i].label} after step ${step}`).toBeLessThan(1e-6);
      }
    }
  }
  dispose(program);
  for (const { buffer } of Object.values(flats)) gpu.device.pool.release(buffer);
  release(gpu.device, hyper);
}

describe('adam over a flat buffer, five steps', () => {
  test('without weight decay', () => checkAdam({}));
  test('with weight decay', () => checkAdam({ weightDecay: 1e-2 }));

  test('clampRange touches its range and nothing else', async () => {
    const flat = flatBuffer(gpu.device, LAYERS, 'clamped');
    const whole = flatRange(flat, 0, flat.bytes / 4, 'whole');
    const before = Float32Array.from(values(whole.shape, 840).data);
    upload(gpu.device, whole, before);
    await evaluate(gpu.device, () => {
      clampRange(flat.views[1], 0, 1);
      return {};
    });
    const first = flat.views[1].storage!.offset / 4;
    const expected = before.map((x, i) => (i < first || i >= first + 7 ? x : Math.min(Math.max(x, 0), 1)));
    expect(await read(gpu.device, whole)).toEqual(expected);
    gpu.device.pool.release(flat.buffer);
  });
});

describe('camPool', () => {
  for (const [H, W] of [
    [3, 2],
    [13, 11],
  ]) {
    for (const variant of ['fast', 'naive']) {
      test(`equal maxima: the gradient goes to the first pixel, ${H}x${W} (${variant})`, async () => {
        gpu.device.variants = { cam: variant };
        // Channel c has its maximum 2 at every pixel from number c on; channel 3 is constant.
        const data = Float64Array.from({ length: H * W * 4 }, (_, i) =>
          i % 4 === 3 || Math.floor(i / 4) >= (i % 4) * 2 ? 2 : -1,
        );
        const x = put({ shape: [1, H, W, 4], data }, 'x');
        const dy = put({ shape: [1, 4], data: Float64Array.of(1, 2, 3, 4) }, 'dy');
        const { dx } = await evaluate(gpu.device, () => ({ dx: vjp([camPool(x).gmp], [dy], [x])[0] }));
        const expected = new Float32Array(H * W * 4);
        for (const [c, pixel] of [0, 2, 4, 0].entries()) expected[pixel * 4 + c] = c + 1;
        expect(dx).toEqual(expected);
        for (const tensor of [x, dy]) release(gpu.device, tensor);
        gpu.device.variants = {};
      });
    }
  }
});

describe('linear in blocks', () => {
  test('splitRows fills blocks up to the limit', () => {
    expect(splitRows(256, 2 ** 20, 2 ** 27)).toEqual(new Array(8).fill(32));
    expect(splitRows(20, 1000, 4 * 1000 * 9)).toEqual([8, 8, 4]);
    expect(splitRows(5, 1000, 4 * 1000 * 2)).toEqual([2, 2, 1]);
    expect(splitRows(5, 1000, 2 ** 27)).toEqual([5]);
    expect(() => splitRows(5, 1000, 3999)).toThrow(/one row of 1000 weights/);
  });

  test('give the same numbers as one block, under a small binding limit', async () => {
    const [N, O, K] = [2, 20, 2052];
    const whole = values([O, K], 850, 0.02);
    const x = put(values([N, K], 851), 'x');
    const dy = put(values([N, O], 852), 'dy');
    const compute = async (rows: number[]) => {
      let first = 0;
      const blocks = rows.map((r) => {
        const data = whole.data.slice(first * K, (first += r) * K);
        return put({ shape: [r, K], data }, 'w');
      });
      const out = await evaluate(gpu.device, () => {
        const y = linear(x, blocks, null);
        const [dx, ...dw] = vjp([y], [dy], [x, ...blocks]);
        return Object.fromEntries<Tensor>([
          ['y', y],
          ['dx', dx],
          ...dw.map((t, i) => [`dw${i}`, t] as const),
        ]);
      });
      for (const tensor of blocks) release(gpu.device, tensor);
      const dw = rows.flatMap((_, i) => [...out[`dw${i}`]]);
      return { y: out.y, dx: out.dx, dw: Float32Array.from(dw) };
    };
    const one = await compute([O]);
    const limit = gpu.device.maxBinding;
    gpu.device.maxBinding = 4 * K * 9;
    try {
      const split = await compute(splitRows(O, K, gpu.device.maxBinding));
      expect(worst(split.y, one.y)).toBeLessThan(2e-6);
      expect(worst(split.dx, one.dx)).toBeLessThan(2e-6);
      expect(split.dw).toEqual(one.dw);
    } finally {
      gpu.device.maxBinding = limit;
      for (const tensor of [x, dy]) release(gpu.device, tensor);
    }
  });
});

test('addInto adds into a view of a flat buffer and nothing beside it', async () => {
  const flat = flatBuffer(gpu.device, LAYERS, 'sums');
  const whole = flatRange(flat, 0, flat.bytes / 4, 'whole');
  const before = Float32Array.from(values(whole.shape, 860).data);
  upload(gpu.device, whole, before);
  const x = values([300, 33], 861);
  const piece = put(x, 'piece');
  const program = await record(gpu.device, () => {
    addInto(flat.views[2], piece);
    return {};
  });
  run(program);
  run(program);
  const first = flat.views[2].storage!.offset / 4;
  const twice = (sum: number, add: number) => Math.fround(Math.fround(sum + add) + add);
  const expected = before.map((sum, i) =>
    i < first || i >= first + x.data.length ? sum : twice(sum, Math.fround(x.data[i - first])),
  );
  expect(await read(gpu.device, whole)).toEqual(expected);
  dispose(program);
  release(gpu.device, piece);
  gpu.device.pool.release(flat.buffer);
});

describe('adam tells of networks that are lost', () => {
  const NAN = Number.NaN;
  const cases: [string, number, 'p' | 'g', number, number, number[]][] = [
    ['none', 0, 'g', 0, 1, [0, 0, 0, 0]],
    ['NaN in a gradient of the first', 0, 'g', 3, NAN, [0, 1, 0, 0]],
    ['infinity in a weight of the second', 1, 'p', 6, Number.POSITIVE_INFINITY, [0, 0, 0, 1]],
    ['NaN in the last gradient', 2, 'g', 9899, NAN, [1, 0, 0, 0]],
    ['a gradient whose square is infinite', 2, 'g', 0, 1e30, [1, 0, 0, 0]],
  ];
  for (const [name, part, where, at, value, expected] of cases) {
    test(name, async () => {
      const { flats, ranges } = adamBuffers();
      const hyper = allocate(gpu.device, [ADAM_HYPER], 'hyper');
      const health = flatBuffer(gpu.device, [{ label: 'flags', shape: [4] }], 'health');
      const filled = new Float32Array(LAYERS[part].shape.reduce((p, d) => p * d, 1)).fill(0.5);
      filled[at] = value;
      upload(gpu.device, flats[where].views[part], filled);
      upload(gpu.device, hyper, adamHyper(1, 0.01));
      const ends = flats.p.views.slice(1).map(({ storage }) => storage!.offset / 4);
      await evaluate(gpu.device, () => {
        const watch = { ends: [...ends, flats.p.bytes / 4], slots: [1, 3, 0], flags: health.views[0] };
        adamStep({ ...ranges, hyper, watch });
        return {};
      });
      expect([...(await read(gpu.device, health.views[0]))]).toEqual(expected);
      for (const { buffer } of [...Object.values(flats), health]) gpu.device.pool.release(buffer);
      release(gpu.device, hyper);
    });
  }
});
