import { camScale, camWeight } from '../../engine/ops/cam/attend.ts';
import { camPool } from '../../engine/ops/cam/pool.ts';
import { type CamWeights, cam, heatMap } from '../../engine/ops/cam.ts';
import { convReference } from './conv2d.ts';
import { linearReference } from './linear.ts';
import { type HostArray, type HostArrays, type OpCase, values, zerosLike } from './types.ts';

/** Mean and maximum over the picture, by definition. */
function poolReference(x: HostArray): HostArray[] {
  const [N, H, W, C] = x.shape;
  const gap = zerosLike([N, C]);
  const gmp = zerosLike([N, C]);
  gmp.data.fill(-Infinity);
  x.data.forEach((value, i) => {
    const at = Math.floor(i / (H * W * C)) * C + (i % C);
    gap.data[at] += value / (H * W);
    gmp.data[at] = Math.max(gmp.data[at], value);
  });
  return [gap, gmp];
}

function scaleReference(x: HostArray, wGap: HostArray, wGmp: HostArray): HostArray {
  const C = x.shape[3];
  const y = zerosLike(x.shape.with(3, 2 * C));
  x.data.forEach((value, i) => {
    const c = i % C;
    const to = Math.floor(i / C) * 2 * C + c;
    y.data[to] = value * wGap.data[c];
    y.data[to + C] = value * wGmp.data[c];
  });
  return y;
}

function heatReference(x: HostArray): HostArray {
  const y = zerosLike(x.shape.with(3, 1));
  x.data.forEach((value, i) => {
    y.data[Math.floor(i / x.shape[3])] += value;
  });
  return y;
}

function weightReference(w: HostArray, wGap: HostArray, wGmp: HostArray): HostArray {
  const C = wGap.data.length;
  const y = zerosLike([w.shape[0], 1, 1, C]);
  y.data.forEach((_, i) => {
    const at = Math.floor(i / C) * 2 * C + (i % C);
    y.data[i] = w.data[at] * wGap.data[i % C] + w.data[at + C] * wGmp.data[i % C];
  });
  return y;
}

/** The whole block as the authors write it: pool, logits, scale, join, 1x1 convolution. */
function camReference(v: HostArrays): HostArray[] {
  const [gap, gmp] = poolReference(v.x);
  const a = linearReference(gap, [v.wGap], null, false);
  const b = linearReference(gmp, [v.wGmp], null, false);
  const logit = zerosLike([v.x.shape[0], 2]);
  a.data.forEach((value, n) => {
    logit.data.set([value, b.data[n]], 2 * n);
  });
  const joined = scaleReference(v.x, v.wGap, v.wGmp);
  return [logit, convReference({ x: joined, w: v.conv, b: v.bias }, { activation: 'leaky_relu' })];
}

interface Config {
  readonly x: readonly number[];
  /** Rows of the folded weight. */
  readonly rows: number;
  /** For the naive twin's one long sum. */
  readonly tolerance?: number;
}

const CONFIGS: Record<string, Config> = {
  'odd channels, batch 2': { x: [2, 3, 5, 7], rows: 19 },
  'many pixels': { x: [1, 12, 17, 12], rows: 19 },
  'one pixel': { x: [2, 1, 1, 4], rows: 19 },
  'sums in several slices': { x: [1, 72, 60, 4], rows: 530, tolerance: 4e-6 },
  'many channels, batch 2': { x: [2, 2, 2, 264], rows: 70 },
};

function casesFor(name: string, { x, rows, tolerance }: Config, i: number): OpCase[] {
  const C = x[3];
  const seed = 600 + 40 * i;
  const weights = { wGap: values([1, C], seed + 1), wGmp: values([1, C], seed + 2) };
  const vector = (k: number) => values([1, C], seed + k);
  const common = { op: 'cam', variants: ['naive'], tolerance };
  return [
    {
      ...common,
      name: `pool, ${name}`,
      inputs: { x: values(x, seed) },
      run: (t) => Object.values(camPool(t.x)),
      reference: (v) => poolReference(v.x),
      grad: ['x'],
    },
    {
      ...common,
      name: `average only, ${name}`,
      inputs: { x: values(x, seed) },
      run: (t) => [camPool(t.x).gap],
      reference: (v) => [poolReference(v.x)[0]],
      grad: ['x'],
    },
    {
      ...common,
      name: `scale and heat map, ${name}`,
      inputs: { x: values(x, seed + 3), ...weights },
      run: (t) => [camScale(t.x, t.wGap, t.wGmp), heatMap(t.x)],
      reference: (v) => [scaleReference(v.x, v.wGap, v.wGmp), heatReference(v.x)],
      grad: ['x', 'wGap', 'wGmp'],
    },
    {
      ...common,
      name: `weight, ${name}`,
      inputs: { w: values([rows, 1, 1, 2 * C], seed + 4), ...weights },
      run: (t) => [camWeight(t.w, t.wGap, t.wGmp)],
      reference: (v) => [weightReference(v.w, v.wGap, v.wGmp)],
      grad: ['w', 'wGap', 'wGmp'],
    },
    {
      ...common,
      name: `block, ${name}`,
      inputs: {
        x: values(x, seed + 5),
        wGap: vector(6),
        wGmp: vector(7),
        conv: values([6, 1, 1, 2 * C], seed + 10, 0.4),
        bias: values([6], seed + 11),
      },
      run: (t) => Object.values(cam(t.x, t as unknown as CamWeights, { activation: 'leaky_relu' })),
      reference: camReference,
      grad: ['x', 'wGap', 'wGmp', 'conv', 'bias'],
    },
  ];
}

export const cases: OpCase[] = Object.entries(CONFIGS).flatMap(([name, config], i) =>
  casesFor(name, config, i),
);
