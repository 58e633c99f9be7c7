import { camLogits } from '../../engine/ops/camLogits.ts';
import type { Spectrum } from '../../engine/record/spectrum.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { type HostArray, type HostArrays, type OpCase, values, zerosLike } from './types.ts';

/**
 * The logits by their definition. With `calls` the weights are divided by sigma = u <v, w>, computed anew
 * from w, so that differences see the way through sigma; the u and v of a call are constants.
 */
export function logitsReference(v: HostArrays, calls: number): HostArray {
  const [N, C] = v.gap.shape;
  const y = zerosLike([N, 2]);
  const heads = [
    { x: v.gap, w: v.wGap, u: v.uGap, v: v.vGap },
    { x: v.gmp, w: v.wGmp, u: v.uGmp, v: v.vGmp },
  ];
  heads.forEach(({ x, w, u, v }, h) => {
    for (let n = 0; n < N; n++) {
      const k = Math.floor((n * calls) / N);
      let product = 0;
      let sigma = 0;
      for (let c = 0; c < C; c++) {
        product += x.data[n * C + c] * w.data[c];
        if (calls > 0) sigma += u.data[k] * v.data[k * C + c] * w.data[c];
      }
      y.data[n * 2 + h] = calls > 0 ? product / sigma : product;
    }
  });
  return y;
}

/** Vectors u (signs) and v (about w / |w|, so that sigma is far from 0) of K calls, and their sigmas. */
function spectrumOf(name: string, w: HostArray, calls: number, seed: number): HostArrays {
  const C = w.data.length;
  const noise = values([calls, C], seed, 0.3);
  const length = Math.hypot(...w.data);
  const u = Float64Array.from({ length: calls }, (_, k) => (k % 2 === 0 ? -1 : 1));
  const v = noise.data.map((e, i) => Math.fround((u[Math.floor(i / C)] * (w.data[i % C] + e)) / length));
  const sigma = u.map((sign, k) => w.data.reduce((sum, value, c) => sum + sign * value * v[k * C + c], 0));
  const names = [`u${name}`, `v${name}`, `sigma${name}`];
  const arrays = [
    { shape: [calls], data: u },
    { shape: [calls, C], data: v },
    { shape: [calls], data: sigma },
  ];
  return Object.fromEntries(names.map((key, i) => [key, arrays[i]]));
}

/** Spectra of both weights, by the names `spectraOf` reads. */
export function spectraInputs(wGap: HostArray, wGmp: HostArray, calls: number, seed: number): HostArrays {
  return { ...spectrumOf('Gap', wGap, calls, seed), ...spectrumOf('Gmp', wGmp, calls, seed + 1) };
}

function spectraOf(t: Record<string, Tensor>, calls: number): { gap: Spectrum; gmp: Spectrum } | null {
  if (calls === 0) return null;
  return {
    gap: { calls, sigma: t.sigmaGap, u: t.uGap, v: t.vGap },
    gmp: { calls, sigma: t.sigmaGmp, u: t.uGmp, v: t.vGmp },
  };
}

interface Config {
  readonly n: number;
  readonly c: number;
  /** Power iterations whose spectra are given; 0: none. */
  readonly calls: number;
  readonly grad?: readonly string[];
}

const WEIGHTS = ['wGap', 'wGmp'];
const ALL = ['gap', 'gmp', ...WEIGHTS];

const CONFIGS: Record<string, Config> = {
  'plain, batch 2': { n: 2, c: 64, calls: 0 },
  'plain, odd 37, batch 3': { n: 3, c: 37, calls: 0 },
  'plain, one channel': { n: 1, c: 1, calls: 0 },
  'plain, features only': { n: 2, c: 12, calls: 0, grad: ['gap', 'gmp'] },
  'plain, weights only': { n: 2, c: 12, calls: 0, grad: WEIGHTS },
  'one call, odd 13, batch 3': { n: 3, c: 13, calls: 1 },
  'two calls, odd 71, batch 2': { n: 2, c: 71, calls: 2 },
  'two calls, batch 5': { n: 5, c: 20, calls: 2 },
  'two calls, features only': { n: 4, c: 9, calls: 2, grad: ['gap', 'gmp'] },
  'three calls, weights only': { n: 3, c: 300, calls: 3, grad: WEIGHTS },
};

export const cases: OpCase[] = Object.entries(CONFIGS).map(([name, { n, c, calls, grad = ALL }], i) => {
  const seed = 1300 + 10 * i;
  const wGap = values([1, c], seed + 2);
  const wGmp = values([1, c], seed + 3);
  return {
    op: 'camLogits',
    name,
    inputs: {
      ...{ gap: values([n, c], seed), gmp: values([n, c], seed + 1, 1, 2), wGap, wGmp },
      ...(calls > 0 ? spectraInputs(wGap, wGmp, calls, seed + 4) : {}),
    },
    run: (t) => [camLogits(t.gap, t.gmp, t.wGap, t.wGmp, spectraOf(t, calls))],
    reference: (v) => [logitsReference(v, calls)],
    grad,
    variants: ['naive'],
  };
});
