import { describe, expect, test, vi } from 'vitest';
import { addFlagsOf, bindingsOf } from '../../engine/device/kernel.ts';
import { vjp } from '../../engine/grad/autograd.ts';
import { relu } from '../../engine/ops/activation.ts';
import { add, addInto } from '../../engine/ops/add.ts';
import { adailn } from '../../engine/ops/norm.ts';
import { sumRows } from '../../engine/ops/sumRows.ts';
import { fuseAdds } from '../../engine/plan/fuseAdds.ts';
import { place } from '../../engine/record/place.ts';
import { reshape } from '../../engine/record/recorder.ts';
import { allocate, type FlatBuffer, flatBuffer, flatRange, type Tensor } from '../../engine/record/tensor.ts';
import { trace } from '../../engine/run/program.ts';
import { evaluate, read, tensorFrom, upload } from '../../engine/run/transfer.ts';
import { values } from '../cases/types.ts';
import { useDevice } from '../device.ts';

const fusing = vi.hoisted(() => ({ on: true }));

vi.mock(import('../../engine/plan/fuseAdds.ts'), async (original) => {
  const { fuseAdds: real } = await original();
  return { fuseAdds: (launches, keep) => (fusing.on ? real(launches, keep) : [...launches]) };
});

const gpu = useDevice();

/** Numbers that float32 adds exactly in any order. */
const whole = (count: number, seed: number) =>
  Float32Array.from(values([count], seed, 20).data, (x) => Math.round(x));

const [ROWS, C] = [3, 64];
const pictures = (seeds: readonly number[]) =>
  seeds.map((seed) => tensorFrom(gpu.device, whole(ROWS * C, seed), [ROWS, C], `x${seed}`));

type Build = (x: Tensor[], flat: FlatBuffer) => Record<string, Tensor>;

/** Kernels and ops recorded, in order. */
function labelsOf(build: () => Record<string, Tensor>): string[] {
  return trace(gpu.device, build).launches.map(({ kernel, label }) =>
    Object.entries(kernel?.constants ?? {}).some(([name, set]) => /^ADD/.test(name) && set === true)
      ? `${label} +=`
      : label,
  );
}

/** What a program leaves in its outputs and in a flat buffer of two views, with and without the pass. */
async function bothWays(build: Build): Promise<{ labels: string[]; fused: unknown; plain: unknown }> {
  const x = pictures([1, 2, 3, 4]);
  const shapes = ['first', 'second'].map((label) => ({ label, shape: [C] }));
  const flat = flatBuffer(gpu.device, shapes, 'flat');
  const all = flatRange(flat, 0, flat.bytes / 4, 'all');
  const results: unknown[] = [];
  for (const on of [true, false]) {
    fusing.on = on;
    upload(gpu.device, all, whole(flat.bytes / 4, 9));
    results.push([await evaluate(gpu.device, () => build(x, flat)), await read(gpu.device, all)]);
  }
  fusing.on = true;
  return { labels: labelsOf(() => build(x, flat)), fused: results[0], plain: results[1] };
}

const SUM = 'sumRows';
const cases: { name: string; labels: string[]; build: Build }[] = [
  {
    name: 'into memory that lives on',
    labels: ['sumRows +='],
    build([x], { views }) {
      addInto(views[1], sumRows(x));
      return {};
    },
  },
  {
    name: 'three pieces, the second as a view',
    labels: ['sumRows +=', 'sumRows +=', 'sumRows +='],
    build([x, y, z], { views }) {
      const pieces = [sumRows(x), reshape(sumRows(y), [C]), sumRows(z)];
      for (const piece of pieces) addInto(views[0], piece);
      return {};
    },
  },
  {
    name: 'not where the piece is read by others',
    labels: [SUM, 'add.into', 'activation.forward'],
    build([x], { views }) {
      const piece = sumRows(x);
      addInto(views[0], piece);
      return { y: relu(piece) };
    },
  },
  {
    name: 'not where the piece is kept',
    labels: [SUM, 'add.into'],
    build([x], { views }) {
      const piece = sumRows(x);
      addInto(views[0], piece);
      return { piece };
    },
  },
  {
    name: 'not where a larger range of the memory is read in between',
    labels: [SUM, 'activation.forward', 'add.into'],
    build([x], flat) {
      const piece = sumRows(x);
      const y = relu(flatRange(flat, 0, 2 * C, 'range'));
      addInto(flat.views[1], piece);
      return { y };
    },
  },
  {
    name: 'past a launch that reads the range beside it',
    labels: ['sumRows +=', 'activation.forward'],
    build([x], { views }) {
      const piece = sumRows(x);
      const y = relu(views[0]);
      addInto(views[1], piece);
      return { y };
    },
  },
  {
    name: 'not by a kernel that reads the same buffer',
    labels: [SUM, 'add.into'],
    build(_, { views }) {
      addInto(views[1], sumRows(views[0]));
      return {};
    },
  },
  {
    name: 'not by a kernel that cannot',
    labels: ['activation.forward', 'add.into'],
    build(_, { views }) {
      addInto(views[1], relu(tensorFrom(gpu.device, whole(C, 5), [C])));
      return {};
    },
  },
  {
    name: 'a chain of sums',
    labels: [SUM, 'sumRows +=', 'sumRows +=', 'sumRows +=', 'activation.forward'],
    build(x) {
      const [a, b, c, d] = x.map((t) => sumRows(t));
      return { y: relu(add(d, add(add(a, b), c))) };
    },
  },
  {
    name: 'a chain of sums as views, and on to memory that lives on',
    labels: ['sumRows +=', 'sumRows +=', 'sumRows +='],
    build(x, { views }) {
      const [a, b, c] = x.map((t) => reshape(sumRows(t), [2, C / 2]));
      addInto(views[0], reshape(add(add(a, b), c), [C]));
      return {};
    },
  },
  {
    name: 'a sum that was given a place',
    labels: [SUM, 'sumRows +=', 'sumRows +='],
    build(x, { views }) {
      const [a, b, c] = x.map((t) => sumRows(t));
      place(add(add(a, b), c), views[1]);
      return {};
    },
  },
  {
    name: 'not at a place whose buffer the first kernel reads',
    labels: [SUM, SUM, 'add'],
    build([x], { views }) {
      place(add(sumRows(views[0]), sumRows(x)), views[1]);
      return {};
    },
  },
  {
    name: 'not where the sum is kept',
    labels: [SUM, SUM, 'add'],
    build: ([x, y]) => ({ sum: add(sumRows(x), sumRows(y)) }),
  },
  {
    name: 'not where both operands are needed later',
    labels: [SUM, SUM, 'add', 'activation.forward', 'activation.forward', 'activation.forward'],
    build([x, y]) {
      const [a, b] = [sumRows(x), sumRows(y)];
      const sum = add(a, b);
      return { a: relu(a), b: relu(b), sum: relu(sum) };
    },
  },
  {
    name: 'not where the operand is read between',
    labels: [SUM, SUM, 'activation.forward', 'add', 'activation.forward'],
    build([x, y]) {
      const [a, b] = [sumRows(x), sumRows(y)];
      const early = relu(a);
      return { early, y: relu(add(a, b)) };
    },
  },
  {
    name: 'where the operand was read before',
    labels: [SUM, 'activation.forward', 'sumRows +=', 'activation.forward'],
    build([x, y]) {
      const a = sumRows(x);
      const early = relu(a);
      return { early, y: relu(add(a, sumRows(y))) };
    },
  },
  {
    name: 'not a tensor to itself',
    labels: [SUM, 'add', 'activation.forward'],
    build([x]) {
      const a = sumRows(x);
      return { y: relu(add(a, a)) };
    },
  },
];

describe('adds done by the kernels that compute what is added', () => {
  for (const { name, labels: expected, build } of cases) {
    test(name, async () => {
      const { labels, fused, plain } = await bothWays(build);
      expect(labels).toEqual(expected);
      expect(fused).toEqual(plain);
    });
  }

  test('launches are replaced, not changed', () => {
    const [x] = pictures([6]);
    const y = allocate(gpu.device, [C], 'y');
    fusing.on = false;
    const { launches } = trace(gpu.device, () => {
      addInto(y, sumRows(x));
      return {};
    });
    fusing.on = true;
    const before = JSON.stringify(launches);
    expect(fuseAdds(launches, []).length).toBe(1);
    expect(JSON.stringify(launches)).toBe(before);
  });

  test('a kernel of several results adds to those that it is told to', async () => {
    const [x, dy, dz] = [21, 22, 23].map((seed) =>
      tensorFrom(gpu.device, Float32Array.from(values([1, 4, 4, 8], seed).data), [1, 4, 4, 8]),
    );
    const [rho, gamma, beta] = [[8], [1, 8], [1, 8]].map((shape, i) =>
      tensorFrom(gpu.device, Float32Array.from(values(shape, 24 + i, 0.3, 0.5).data), shape),
    );
    const build = () => {
      const z = adailn(x, rho, gamma, beta);
      const w = adailn(z, rho, gamma, beta);
      const [dgamma, dbeta] = vjp([w, z], [dy, dz], [gamma, beta]);
      return { dgamma: relu(dgamma), dbeta: relu(dbeta) };
    };
    const fused = await evaluate(gpu.device, build);
    const labels = labelsOf(build);
    expect(labels).toContain('norm.backwardCoefficients +=');
    expect(labels.filter((label) => label === 'add').length).toBeLessThanOrEqual(1);
    fusing.on = false;
    const plain = await evaluate(gpu.device, build);
    fusing.on = true;
    for (const name of ['dgamma', 'dbeta'] as const) {
      fused[name].forEach((value, i) => {
        expect(value).toBeCloseTo(plain[name][i], 5);
      });
    }
  });
});

describe('flags of kernels', () => {
  test('belong to bindings that are written', () => {
    const flags = (name: string) => [...addFlagsOf({ name, constants: {} })];
    expect(flags('sumRows/main')).toEqual([[1, 'ADD']]);
    expect(flags('conv2d/fold')).toContainEqual([2, 'ADD']);
    expect(flags('norm/backwardCoefficients').map(([, flag]) => flag)).toEqual([
      'ADD_DRHO',
      'ADD_DGAMMA',
      'ADD_DBETA',
    ]);
    for (const [slot] of flags('norm/backwardCoefficients')) {
      expect(bindingsOf({ name: 'norm/backwardCoefficients', constants: {} })[slot]).toBe('write');
    }
    expect(flags('add/into')).toEqual([]);
  });
});
