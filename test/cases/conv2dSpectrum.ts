import type { ConvOptions } from '../../engine/ops/conv2d/sizes.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { convReference } from './conv2d.ts';
import { powerIteration, sigmaOf, spectralReference } from './spectralNorm.ts';
import { type HostArray, type HostArrays, type OpCase, values } from './types.ts';

/** Part k of K equal parts along the first dimension. */
function part({ shape, data }: HostArray, k: number, K: number): HostArray {
  const size = data.length / K;
  return { shape: [shape[0] / K, ...shape.slice(1)], data: data.slice(k * size, (k + 1) * size) };
}

/** Convolution of each call's samples by w / (uᵀ W v), whose u and v are constants. */
function reference(h: HostArrays, K: number, options: ConvOptions): HostArray {
  const parts = Array.from({ length: K }, (_, k) => {
    const w = spectralReference(h.w, part(h.u, k, K).data, part(h.v, k, K).data);
    return convReference({ ...h, x: part(h.x, k, K), w }, options);
  });
  const [first] = parts;
  const data = new Float64Array(first.data.length * K);
  parts.forEach((y, k) => {
    data.set(y.data, k * first.data.length);
  });
  return { shape: [first.shape[0] * K, ...first.shape.slice(1)], data };
}

interface Config extends ConvOptions {
  x: [number, number, number, number];
  co: number;
  k: number;
  calls: number;
  bias?: boolean;
  variants: string[];
}

const CONFIGS: Record<string, Config> = {
  '4x4 stride 2, leaky, bias, two calls': {
    ...{ x: [4, 8, 12, 8], co: 8, k: 4, pad: 1, stride: 2, bias: true, activation: 'leaky_relu', calls: 2 },
    variants: ['naive', 'gather/textures', 'gather/tiles', 'gather/tiles/finest', 'columns'],
  },
  'pictures 3 to 5, one call': {
    ...{ x: [2, 7, 9, 3], co: 5, k: 4, pad: 1, stride: 2, bias: true, activation: 'leaky_relu', calls: 1 },
    variants: ['naive', 'gather/textures', 'gather/tiles', 'gather/tiles/finest'],
  },
  'to one channel, three calls': {
    ...{ x: [3, 6, 7, 12], co: 1, k: 4, pad: 1, calls: 3 },
    variants: ['naive', 'gather/textures', 'gather/tiles', 'gather/tiles/finest', 'columns'],
  },
  'to two channels, bias, three calls': {
    ...{ x: [3, 6, 8, 12], co: 2, k: 4, pad: 1, bias: true, calls: 3 },
    variants: ['naive', 'gather/tiles', 'columns', 'taps'],
  },
  'pictures 3 to 8, two calls': {
    ...{ x: [2, 8, 6, 3], co: 8, k: 4, pad: 1, stride: 2, bias: true, activation: 'leaky_relu', calls: 2 },
    variants: ['naive', 'taps'],
  },
  'few positions, many weights': {
    ...{ x: [2, 4, 4, 64], co: 64, k: 4, pad: 1, stride: 2, bias: true, calls: 2, slope: 0.1 },
    ...{ activation: 'leaky_relu', variants: ['naive', 'columns', 'gather/tiles', 'gather/tiles/finest'] },
  },
  patches: { x: [2, 7, 6, 32], co: 36, k: 4, pad: 1, calls: 1, variants: ['gather/textures'] },
  '3x3, relu': {
    ...{ x: [2, 6, 5, 8], co: 8, k: 3, pad: 1, bias: true, activation: 'relu', calls: 2 },
    variants: ['winograd/textures', 'gather/textures'],
  },
};

/** Many slices of rows for each invocation that adds them up, and several channels for each. */
const LARGE: Record<string, Config> = {
  'many rows, 5 channels, two calls': {
    ...{ x: [4, 40, 33, 4], co: 5, k: 1, bias: true, activation: 'leaky_relu', calls: 2, variants: [] },
  },
  'many rows, 260 channels': { x: [2, 21, 19, 3], co: 260, k: 3, pad: 1, bias: true, calls: 1, variants: [] },
  'many rows, no bias, 3 calls': { x: [3, 31, 17, 8], co: 8, k: 2, calls: 3, variants: [] },
  '1032 channels, two calls': { x: [2, 5, 3, 4], co: 1032, k: 3, pad: 1, bias: true, calls: 2, variants: [] },
};

function spectralCase([name, config]: [string, Config], i: number): OpCase {
  const { x, co, k, bias, calls, variants, ...options } = config;
  const w = values([co, k, k, x[3]], 240 + i, 0.3);
  const M = k * k * x[3];
  const state = {
    u: new Float64Array(calls * co),
    v: new Float64Array(calls * M),
    sigma: new Float64Array(calls),
  };
  let u = values([co], 260 + i).data;
  for (let call = 0; call < calls; call++) {
    const next = powerIteration(w, u);
    u = next.u.map(Math.fround);
    const v = next.v.map(Math.fround);
    state.u.set(u, call * co);
    state.v.set(v, call * M);
    state.sigma[call] = sigmaOf(w, u, v);
  }
  const vectors = {
    u: { shape: [calls, co], data: state.u },
    v: { shape: [calls, M], data: state.v },
    sigma: { shape: [calls], data: state.sigma },
  };
  return {
    op: 'conv2d',
    name: `spectral norm: ${name}`,
    inputs: { x: values(x, 280 + i), w, ...(bias ? { b: values([co], 290 + i) } : {}), ...vectors },
    run: (t) => {
      const spectrum = { calls, sigma: t.sigma, u: t.u, v: t.v };
      return [conv2d(t.x, t.w, t.b ?? null, { ...options, spectrum })];
    },
    reference: (h) => [reference(h, calls, options)],
    grad: bias ? ['x', 'w', 'b'] : ['x', 'w'],
    variants,
  };
}

export const cases: OpCase[] = Object.entries(CONFIGS).map(spectralCase);

/** Too many elements for finite differences. */
export const large: OpCase[] = Object.entries(LARGE).map(spectralCase);
