import { spectralNorm } from '../../engine/ops/spectralNorm.ts';
import { type HostArray, type OpCase, values, zerosLike } from './types.ts';

export interface SpectralState {
  u: Float64Array;
  v: Float64Array;
  sigma: number;
}

function normalise(x: Float64Array): Float64Array {
  const length = Math.max(Math.hypot(...x), 1e-12);
  return x.map((value) => value / length);
}

/** W v [O] of a weight whose first dimension is O. */
function rows(w: HostArray, v: Float64Array): Float64Array {
  return new Float64Array(w.shape[0]).map((_, o) =>
    v.reduce((sum, value, m) => sum + w.data[o * v.length + m] * value, 0),
  );
}

/** Wᵀ u [rest]. */
function columns(w: HostArray, u: Float64Array): Float64Array {
  const M = w.data.length / u.length;
  return new Float64Array(M).map((_, m) => u.reduce((sum, value, o) => sum + w.data[o * M + m] * value, 0));
}

/** One power iteration and sigma, by the definition of torch.nn.utils.spectral_norm. */
export function powerIteration(w: HostArray, u: Float64Array): SpectralState {
  const v = normalise(columns(w, u));
  const s = rows(w, v);
  const next = normalise(s);
  return { u: next, v, sigma: s.reduce((sum, value, o) => sum + value * next[o], 0) };
}

/** uᵀ W v. */
export function sigmaOf(w: HostArray, u: Float64Array, v: Float64Array): number {
  return rows(w, v).reduce((sum, value, o) => sum + value * u[o], 0);
}

/** w / (uᵀ W v) for given u and v. */
export function spectralReference(w: HostArray, u: Float64Array, v: Float64Array): HostArray {
  const sigma = sigmaOf(w, u, v);
  const y = zerosLike(w.shape);
  y.data.set(w.data.map((value) => value / sigma));
  return y;
}

/** Weights by shape: matrices, convolutions, one row, sizes that are not multiples of 4. */
export const SPECTRAL_SHAPES: Record<string, number[]> = {
  'convolution 16x4x4x8': [16, 4, 4, 8],
  'pictures 8x4x4x3': [8, 4, 4, 3],
  'one row of 64': [1, 64],
  'one convolution row, 1x4x4x20': [1, 4, 4, 20],
  'odd 5x7': [5, 7],
  'tall 300x12': [300, 12],
  'wide 6x5000': [6, 5000],
};

function unit(n: number, seed: number): HostArray {
  const { shape, data } = values([n], seed);
  return { shape, data: normalise(data).map(Math.fround) };
}

/** Without update the vectors are constants, so differences of the reference give the gradient. */
export const cases: OpCase[] = Object.entries(SPECTRAL_SHAPES).map(([name, shape], i) => {
  const w = values(shape, 500 + i, 0.3);
  const start = powerIteration(w, unit(shape[0], 520 + i).data);
  const vector = (data: Float64Array) => ({ shape: [data.length], data: data.map(Math.fround) });
  return {
    op: 'spectralNorm',
    name,
    inputs: { w, u: vector(start.u), v: vector(start.v) },
    run: (t) => [spectralNorm(t.w, t.u, t.v, { update: false })],
    reference: (h) => [spectralReference(h.w, h.u.data, h.v.data)],
    grad: ['w'],
    variants: ['naive'],
  };
});
