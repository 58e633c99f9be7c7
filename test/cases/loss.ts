import { bceWithLogitsToConstant, l1Loss, mseToConstant, mseToConstantPair } from '../../engine/ops/loss.ts';
import { type HostArray, type OpCase, values } from './types.ts';

function mean({ data }: HostArray, term: (v: number, i: number) => number): HostArray {
  return { shape: [1], data: Float64Array.of(data.reduce((sum, v, i) => sum + term(v, i), 0) / data.length) };
}

function bce(x: HostArray, target: number): HostArray {
  return mean(x, (v) => Math.max(v, 0) - v * target + Math.log1p(Math.exp(-Math.abs(v))));
}

/** Pairs of which the first are equal: the derivative of |a - b| there is 0. */
function l1Case(name: string, shape: number[], seed: number): OpCase {
  const inputs = { a: values(shape, seed), b: values(shape, seed + 1) };
  inputs.b.data[0] = inputs.a.data[0];
  return {
    op: 'loss',
    name,
    inputs,
    run: (t) => [l1Loss(t.a, t.b)],
    reference: ({ a, b }) => [mean(a, (v, i) => Math.abs(v - b.data[i]))],
    grad: ['a', 'b'],
  };
}

function constantsCase(name: string, x: HostArray): OpCase {
  return {
    op: 'loss',
    name,
    inputs: { x },
    run: ({ x: t }) => [
      ...[0, 1].map((target) => mseToConstant(t, target)),
      ...[0, 1, 0.25].map((target) => bceWithLogitsToConstant(t, target)),
    ],
    reference: ({ x: v }) => [
      ...[0, 1].map((target) => mean(v, (value) => (value - target) ** 2)),
      ...[0, 1, 0.25].map((target) => bce(v, target)),
    ],
    grad: ['x'],
  };
}

/** Parts of a batch, each toward its own target: what their separate losses add up to. */
function partsCase(name: string, x: HostArray, goals: readonly number[]): OpCase {
  const sumOf = (v: HostArray, loss: (part: HostArray, goal: number) => HostArray): HostArray => {
    const size = v.data.length / goals.length;
    const losses = goals.map((goal, k) => {
      const data = v.data.slice(k * size, (k + 1) * size);
      return loss({ shape: [size], data }, goal).data[0];
    });
    return { shape: [1], data: Float64Array.of(losses.reduce((a, b) => a + b)) };
  };
  return {
    op: 'loss',
    name,
    inputs: { x },
    run: ({ x: t }) => [mseToConstant(t, goals), bceWithLogitsToConstant(t, goals)],
    reference: ({ x: v }) => [
      sumOf(v, (part, goal) => mean(part, (value) => (value - goal) ** 2)),
      sumOf(v, bce),
    ],
    grad: ['x'],
  };
}

/** Two tensors of other sizes toward the same targets; only the second one's gradient, where `one`. */
function pairCase(name: string, shapes: number[][], goals: readonly number[], one = false): OpCase {
  const [a, b] = shapes.map((shape, i) => values(shape, 1010 + i));
  const parts = (x: HostArray) => partsCase('', x, goals).reference({ x })[0];
  return {
    op: 'loss',
    name,
    inputs: { a, b },
    run: (t) => mseToConstantPair(t.a, t.b, goals).slice(one ? 1 : 0),
    reference: (h) => [h.a, h.b].map(parts).slice(one ? 1 : 0),
    grad: one ? ['b'] : ['a', 'b'],
  };
}

/** Sure logits, right and wrong, and the ones around 0. */
const LOGITS = [100, -100, 12, -12, 3, -3, 0, 1e-3, 30, -30];

export const cases: OpCase[] = [
  l1Case('l1, odd count', [2, 3, 5, 3], 1000),
  l1Case('l1, 1 number', [1], 1002),
  l1Case('l1, two launches', [1, 77, 75, 3], 1004),
  constantsCase('to constants, odd count', values([2, 4, 3, 1], 1006)),
  constantsCase('to constants, two launches', values([1, 131, 127, 1], 1007, 3)),
  partsCase('two parts, odd counts', values([2, 5, 3, 1], 1008), [1, 0]),
  partsCase('three parts, two launches', values([6, 53, 53, 1], 1009), [1, 0, 0.25]),
  pairCase(
    'pair, two parts',
    [
      [4, 5, 3, 1],
      [4, 2],
    ],
    [1, 0],
  ),
  pairCase(
    'pair, the second alone',
    [
      [1, 7, 5, 1],
      [1, 2],
    ],
    [1],
    true,
  ),
  pairCase(
    'pair, too large for one workgroup',
    [
      [2, 91, 97, 1],
      [2, 2],
    ],
    [0, 1],
  ),
  constantsCase('to constants, logits of 100', {
    shape: [5, 2],
    data: Float64Array.from(LOGITS, Math.fround),
  }),
  {
    op: 'loss',
    name: 'bce of sure, right logits keeps its digits',
    inputs: { x: { shape: [3], data: Float64Array.of(-9, -12, -15) } },
    run: ({ x }) => [bceWithLogitsToConstant(x, 0)],
    reference: ({ x }) => [bce(x, 0)],
    grad: ['x'],
  },
];
