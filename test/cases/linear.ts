import { linear } from '../../engine/ops/linear.ts';
import { type HostArray, type HostArrays, type OpCase, values, zerosLike } from './types.ts';

/** torch.nn.Linear by its definition; `w` are the blocks of rows in order. */
export function linearReference(x: HostArray, w: HostArray[], b: HostArray | null, relu: boolean): HostArray {
  const [N, K] = x.shape;
  const O = w.reduce((sum, block) => sum + block.shape[0], 0);
  const y = zerosLike([N, O]);
  for (let n = 0; n < N; n++) {
    let o = 0;
    for (const block of w) {
      for (let r = 0; r < block.shape[0]; r++, o++) {
        let sum = b ? b.data[o] : 0;
        for (let k = 0; k < K; k++) sum += x.data[n * K + k] * block.data[r * K + k];
        y.data[n * O + o] = relu ? Math.max(sum, 0) : sum;
      }
    }
  }
  return y;
}

interface Config {
  n: number;
  k: number;
  /** Rows of each block of the weight. */
  rows: number[];
  bias?: boolean;
  relu?: boolean;
}

const CONFIGS: Record<string, Config> = {
  'square with bias, batch 2': { n: 2, k: 64, rows: [64], bias: true, relu: true },
  'one output, no bias, batch 3': { n: 3, k: 128, rows: [1] },
  'odd features 37 to 11': { n: 2, k: 37, rows: [11], bias: true },
  '28 to 13, relu, batch 8': { n: 8, k: 28, rows: [13], bias: true, relu: true },
  'batch 11': { n: 11, k: 20, rows: [6], bias: true },
  'long rows, split over k': { n: 1, k: 20000, rows: [20], bias: true, relu: true },
  'long rows, batch 5': { n: 5, k: 9004, rows: [7] },
  'three blocks': { n: 2, k: 5000, rows: [8, 8, 5], bias: true, relu: true },
  'three blocks, odd features': { n: 1, k: 25, rows: [2, 2, 1], bias: true },
};

function blocksOf<T>(v: Record<string, T>, count: number): T[] {
  return Array.from({ length: count }, (_, i) => v[`w${i}`]);
}

export const cases: OpCase[] = Object.entries(CONFIGS).map(([name, { n, k, rows, bias, relu }], i) => {
  const inputs: HostArrays = { x: values([n, k], 400 + i) };
  rows.forEach((r, j) => {
    inputs[`w${j}`] = values([r, k], 420 + 10 * i + j, 1 / Math.sqrt(k));
  });
  if (bias) inputs.b = values([rows.reduce((s, r) => s + r, 0)], 410 + i);
  return {
    op: 'linear',
    name,
    inputs,
    run: (t) => [
      linear(t.x, rows.length === 1 ? t.w0 : blocksOf(t, rows.length), t.b ?? null, {
        activation: relu ? 'relu' : 'none',
      }),
    ],
    reference: (v) => [linearReference(v.x, blocksOf(v, rows.length), v.b ?? null, relu ?? false)],
    grad: Object.keys(inputs),
    variants: ['naive'],
  };
});
