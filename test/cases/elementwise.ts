import { leakyRelu, relu, tanh } from '../../engine/ops/activation.ts';
import { add } from '../../engine/ops/add.ts';
import { concat, slice, split } from '../../engine/ops/concat.ts';
import { halfScale } from '../../engine/ops/halfScale.ts';
import { sumRows } from '../../engine/ops/sumRows.ts';
import { weightedSum } from '../../engine/ops/weightedSum.ts';
import { type HostArray, type OpCase, values, zerosLike } from './types.ts';

function map(x: HostArray, f: (v: number, i: number) => number): HostArray {
  return { shape: x.shape, data: x.data.map(f) };
}

const shape = [2, 3, 5, 7];

/** [rows, width] views of two arrays joined along the last axis. */
function joinLast(a: HostArray, b: HostArray): HostArray {
  const ca = a.shape.at(-1)!;
  const cb = b.shape.at(-1)!;
  const y = zerosLike([...a.shape.slice(0, -1), ca + cb]);
  const rows = a.data.length / ca;
  for (let r = 0; r < rows; r++) {
    y.data.set(a.data.subarray(r * ca, (r + 1) * ca), r * (ca + cb));
    y.data.set(b.data.subarray(r * cb, (r + 1) * cb), r * (ca + cb) + ca);
  }
  return y;
}

/** The power of two that brings the largest |x| into 2^13 .. 2^14, and its inverse. */
function scaleReference(x: HostArray): HostArray {
  const most = x.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const exponent = Math.max(-126, Math.min(126, 13 - Math.floor(Math.log2(most))));
  return { shape: [2], data: Float64Array.of(2 ** exponent, 2 ** -exponent) };
}

const scaled = (name: string, x: HostArray): OpCase => ({
  op: 'halfScale',
  name,
  inputs: { x },
  run: (t) => [halfScale(t.x)],
  reference: (v) => [scaleReference(v.x)],
  grad: [],
  tolerance: 1e-12,
});

export const cases: OpCase[] = [
  scaled('odd count, 1e-7', values(shape, 30, 1e-7)),
  scaled('1 number below 0', { shape: [1], data: Float64Array.of(-4) }),
  scaled('two launches, 1e5', values([3, 37, 41, 7], 31, 1e5)),
  scaled('zeros', zerosLike([4, 3])),
  {
    op: 'add',
    name: 'odd count',
    inputs: { a: values(shape, 1), b: values(shape, 2) },
    run: (t) => [add(t.a, t.b)],
    reference: ({ a, b }) => [map(a, (v, i) => v + b.data[i])],
    grad: ['a', 'b'],
  },
  {
    op: 'activation',
    name: 'relu, leaky, tanh',
    inputs: { x: values(shape, 3) },
    run: (t) => [relu(t.x), leakyRelu(t.x, 0.2), tanh(t.x)],
    reference: ({ x }) => [
      map(x, (v) => Math.max(v, 0)),
      map(x, (v) => (v > 0 ? v : 0.2 * v)),
      map(x, Math.tanh),
    ],
    grad: ['x'],
  },
  {
    op: 'concat',
    name: 'channels, then a slice of the batch',
    inputs: { a: values([3, 2, 5], 4), b: values([3, 2, 4], 5) },
    run: (t) => {
      const y = concat([t.a, t.b], 2);
      return [y, slice(y, 0, 1, 2)];
    },
    reference: ({ a, b }) => {
      const y = joinLast(a, b);
      return [y, { shape: [2, 2, 9], data: y.data.slice(18) }];
    },
    grad: ['a', 'b'],
  },
  {
    op: 'concat',
    name: 'split of the batch, one part unused',
    inputs: { x: values([5, 3, 2], 14) },
    run: (t) => {
      const [first, , last] = split(t.x, 0, [2, 1, 2]);
      return [first, last];
    },
    reference: ({ x }) => [
      { shape: [2, 3, 2], data: x.data.slice(0, 12) },
      { shape: [2, 3, 2], data: x.data.slice(18) },
    ],
    grad: ['x'],
  },
  {
    op: 'sumRows',
    name: '209 rows, 5 columns',
    inputs: { x: values([11, 19, 5], 6) },
    run: (t) => [sumRows(t.x)],
    reference: ({ x }) => {
      const y = zerosLike([5]);
      x.data.forEach((v, i) => {
        y.data[i % 5] += v;
      });
      return [y];
    },
    grad: [],
  },
  {
    op: 'weightedSum',
    name: 'three terms',
    inputs: { a: values([1], 7), b: values([1], 8), c: values([1], 9) },
    run: (t) => [weightedSum([t.a, t.b, t.c], [1, 10, 1000])],
    reference: ({ a, b, c }) => [
      { shape: [1], data: Float64Array.of(a.data[0] + 10 * b.data[0] + 1000 * c.data[0]) },
    ],
    grad: ['a', 'b', 'c'],
  },
];
