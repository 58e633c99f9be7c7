import { show } from '../../engine/index.ts';
import { cases as camCases } from '../../test/cases/cam.ts';
import { spectraInputs } from '../../test/cases/camLogits.ts';
import { allCases } from '../../test/cases/index.ts';
import { type HostArray, type HostArrays, type OpCase, values } from '../../test/cases/types.ts';
import { prepareOp, type Timed } from '../prepare.ts';
import { checkOp } from '../reference.ts';
import type { BenchCase } from '../types.ts';

type Size = readonly number[];

/** A test case with other inputs: how it runs and its float64 reference serve here too. */
interface Borrowed {
  readonly test: Pick<OpCase, 'op' | 'run' | 'reference'>;
  readonly name: string;
  readonly shape: string;
  readonly inputs: () => HostArrays;
  /** Bytes that each pass must move; absent: the case is compared with no ceiling. */
  readonly forwardBytes?: number;
  readonly backwardBytes?: number;
  readonly flops?: number;
  readonly grads: readonly string[];
  readonly naive: boolean;
}

function passOf(b: Borrowed, pass: Timed, grads: readonly string[], bytes: number | undefined): BenchCase {
  const { test, name, shape, flops } = b;
  return {
    name,
    op: test.op,
    pass,
    shape,
    flops: flops && pass === 'backward' ? 2 * flops : flops,
    bytes,
    bound: bytes === undefined ? null : 'memory',
    naive: b.naive ? { [test.op]: 'naive' } : undefined,
    naiveSlack: test.op === 'norm' ? 200 : 1,
    open() {
      const inputs = b.inputs();
      const check = checkOp(test, inputs, grads);
      return (device) => prepareOp(device, { inputs, run: test.run, grads, timed: pass }, check);
    },
  };
}

/** Forward and backward of a borrowed test case. */
function both(b: Borrowed): BenchCase[] {
  return [passOf(b, 'forward', [], b.forwardBytes), passOf(b, 'backward', b.grads, b.backwardBytes)];
}

const count = (shape: Size) => shape.reduce((p, d) => p * d, 1);

function find(op: string, start: string): OpCase {
  const found = allCases.find((c) => c.op === op && c.name.startsWith(start));
  if (!found) throw new Error(`test/cases has no ${op} case "${start}"`);
  return found;
}

/** Test cases without bias towards a shape: with ReLU, as the networks use them. */
const NORMS = {
  instance: find('norm', 'instance, relu, 8'),
  iln: find('norm', 'iln, relu'),
  adailn: find('norm', 'adailn, relu'),
};

/** Every channel with a mean and a spread of its own, as in a network: else instance and layer norm agree. */
function uneven(shape: Size): HostArray {
  const { data } = values(shape, 1);
  const c = shape[3];
  return {
    shape,
    data: data.map((v, i) => Math.fround(v * (0.5 + (i % c) / c) + (((i % c) % 7) - 3) * 0.3)),
  };
}

function norm(kind: keyof typeof NORMS, x: Size): BenchCase[] {
  const c = x[3];
  const per = kind === 'iln' ? [c] : [x[0], c];
  const bytes = count(x) * 4;
  const weights = () => ({
    rho: { shape: [c], data: values([c], 2).data.map((v) => Math.abs(v) % 1) },
    gamma: values(per, 3),
    beta: values(per, 4),
  });
  return both({
    test: NORMS[kind],
    name: `${kind}_${c}_${x[1]}`,
    shape: show(x),
    inputs: () => ({ x: uneven(x), ...(kind === 'instance' ? {} : weights()) }),
    // A read for the statistics, a read and a write; backward dy and x twice, and dx.
    forwardBytes: 3 * bytes,
    backwardBytes: 5 * bytes,
    grads: kind === 'instance' ? ['x'] : ['x', 'rho', 'gamma', 'beta'],
    naive: true,
  });
}

/** Norms of the generator. */
export function normCases(size: number, ch: number): BenchCase[] {
  const at = (side: number, c: number) => [1, side, side, c];
  return [
    ...norm('instance', at(size, ch)),
    ...norm('instance', at(size / 2, 2 * ch)),
    ...norm('instance', at(size / 4, 4 * ch)),
    ...norm('adailn', at(size / 4, 4 * ch)),
    ...norm('iln', at(size / 2, 2 * ch)),
    ...norm('iln', at(size, ch)),
  ];
}

function cam(
  start: string,
  name: string,
  shape: string,
  inputs: () => HostArrays,
  bytes: number[],
): BenchCase[] {
  const test = camCases.find((c) => c.name.startsWith(start))!;
  const grads = Object.keys(inputs());
  const [forwardBytes, backwardBytes] = bytes.map((b) => 4 * b);
  return both({ test, name, shape, inputs, forwardBytes, backwardBytes, grads, naive: true });
}

/** Class-activation maps: pooling, scaled weights, and the block as the networks have it. */
export function camBenchCases(size: number, ch: number): BenchCase[] {
  const side = size / 4;
  const c = 4 * ch;
  const x = [1, side, side, c];
  const vector = (seed: number) => values([1, c], seed);
  const n = count(x);
  const w = [c, 1, 1, 2 * c];
  const block = () => ({
    ...{
      x: values(x, 5),
      gapLogit: vector(6),
      gmpLogit: vector(7),
      gapScale: vector(8),
      gmpScale: vector(9),
    },
    ...{ conv: values(w, 10, 0.1), bias: values([c], 11) },
  });
  const blockTest = camCases.find((b) => b.name.startsWith('block'))!;
  const blockCase = {
    ...{ test: blockTest, name: `cam_block_${c}_${side}`, shape: show(x), inputs: block, naive: true },
    flops: 4 * n * c,
    grads: Object.keys(block()),
  };
  return [
    ...cam('pool', `cam_pool_${c}_${side}`, show(x), () => ({ x: values(x, 1) }), [n, n]),
    ...cam(
      'weight',
      `cam_weight_${c}`,
      show(w),
      () => ({ w: values(w, 2), wGap: vector(3), wGmp: vector(4) }),
      [1.5 * count(w), 2.5 * count(w)],
    ),
    ...both(blockCase),
  ];
}

/** Both logits of a class-activation map, for a fake and a real picture, with the spectra of two calls. */
export function camLogitsCases(c: number): BenchCase[] {
  const weights = { wGap: values([1, c], 3), wGmp: values([1, c], 4) };
  const inputs = () => ({
    ...{ gap: values([2, c], 1), gmp: values([2, c], 2), ...weights },
    ...spectraInputs(weights.wGap, weights.wGmp, 2, 5),
  });
  return both({
    test: find('camLogits', 'two calls, batch 5'),
    name: `camLogits_${c}`,
    shape: show([2, c]),
    inputs,
    forwardBytes: 4 * 6 * c,
    backwardBytes: 4 * 16 * c,
    grads: ['gap', 'gmp', 'wGap', 'wGmp'],
    naive: true,
  });
}

/** Fully connected layers: of the light model, and the first one of the full model, as large as allowed. */
export function linearCases(ch: number, features: number): BenchCase[] {
  const test = find('linear', 'one output, no bias');
  const layer = (n: number, k: number, o: number) =>
    both({
      test,
      name: `linear_${k}to${o}`,
      shape: `${show([n, k])} * ${show([o, k])}`,
      inputs: () => ({ x: values([n, k], 1), w0: values([o, k], 2, 1 / Math.sqrt(k)) }),
      flops: 2 * n * k * o,
      forwardBytes: 4 * (o * k + n * k),
      backwardBytes: 4 * (2 * o * k + 2 * n * k),
      grads: ['x', 'w0'],
      naive: true,
    });
  return [...layer(2, 4 * ch, 4 * ch), ...layer(1, features, 4 * ch)];
}

/** L1 between pictures, and the losses of logits toward a constant. */
export function lossCases(size: number): BenchCase[] {
  const picture = [1, size, size, 3];
  const logits = [1, 30, 30, 1];
  const n = count(picture) * 4;
  return [
    ...both({
      test: find('loss', 'l1, odd'),
      name: `loss_l1_${size}`,
      shape: show(picture),
      inputs: () => ({ a: values(picture, 1), b: values(picture, 2) }),
      forwardBytes: 2 * n,
      backwardBytes: 4 * n,
      grads: ['a', 'b'],
      naive: false,
    }),
    ...both({
      test: find('loss', 'to constants, odd'),
      name: 'loss_mse_bce_30',
      shape: show(logits),
      inputs: () => ({ x: values(logits, 3) }),
      grads: ['x'],
      naive: false,
    }),
  ];
}
