import { type ConvOptions, convSizes } from '../../engine/ops/conv2d/sizes.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { type HostArray, type HostArrays, type OpCase, values, zerosLike } from './types.ts';

function reflect(i: number, size: number): number {
  const positive = Math.abs(i);
  return positive >= size ? 2 * (size - 1) - positive : positive;
}

/** Definition of torch's Upsample(nearest) + ReflectionPad2d + Conv2d + activation, in float64. */
export function convReference(v: HostArrays, options: ConvOptions): HostArray {
  const { x, w, b } = v;
  const s = convSizes(x.shape, w.shape, b?.shape ?? null, options);
  const y = zerosLike([s.N, s.OH, s.OW, s.CO]);
  let at = 0;
  for (let n = 0; n < s.N; n++) {
    for (let oy = 0; oy < s.OH; oy++) {
      for (let ox = 0; ox < s.OW; ox++) {
        for (let co = 0; co < s.CO; co++) {
          let sum = b ? b.data[co] : 0;
          for (let kh = 0; kh < s.K; kh++) {
            const iy = Math.floor(reflect(oy * s.S + kh - s.P, s.H * s.UP) / s.UP);
            for (let kw = 0; kw < s.K; kw++) {
              const ix = Math.floor(reflect(ox * s.S + kw - s.P, s.W * s.UP) / s.UP);
              const from = ((n * s.H + iy) * s.W + ix) * s.CI;
              const weight = ((co * s.K + kh) * s.K + kw) * s.CI;
              for (let ci = 0; ci < s.CI; ci++) sum += x.data[from + ci] * w.data[weight + ci];
            }
          }
          y.data[at++] = activate(sum, options);
        }
      }
    }
  }
  return y;
}

function activate(z: number, { activation, slope = 0.2 }: ConvOptions): number {
  if (activation === 'relu') return Math.max(z, 0);
  if (activation === 'tanh') return Math.tanh(z);
  return activation === 'leaky_relu' && z <= 0 ? slope * z : z;
}

interface Config extends ConvOptions {
  x: [number, number, number, number];
  co: number;
  k: number;
  bias?: boolean;
}

const CONFIGS: Record<string, Config> = {
  '3x3 reflect 1, odd, batch 2, 5 to 7': { x: [2, 9, 7, 5], co: 7, k: 3, pad: 1 },
  '3x3 reflect 1, 8 to 12, bias': { x: [2, 6, 10, 8], co: 12, k: 3, pad: 1, bias: true },
  '3x3 stride 2, odd size, 8 to 16': { x: [1, 9, 11, 8], co: 16, k: 3, pad: 1, stride: 2 },
  '7x7 pictures 3 to 8': { x: [2, 10, 8, 3], co: 8, k: 7, pad: 3 },
  '7x7 features 8 to 3, tanh': { x: [1, 8, 9, 8], co: 3, k: 7, pad: 3, activation: 'tanh' },
  '7x7 smallest picture 4x4': { x: [1, 4, 4, 4], co: 4, k: 7, pad: 3 },
  '4x4 stride 2, bias, leaky': {
    x: [2, 8, 12, 8],
    co: 8,
    k: 4,
    pad: 1,
    stride: 2,
    bias: true,
    activation: 'leaky_relu',
  },
  '4x4 stride 2, odd size, 3 to 4': { x: [1, 7, 9, 3], co: 4, k: 4, pad: 1, stride: 2, bias: true },
  '4x4 stride 1, 8 to 1': { x: [2, 5, 6, 8], co: 1, k: 4, pad: 1 },
  '4x4 stride 1 on 2x2': { x: [1, 2, 2, 4], co: 8, k: 4, pad: 1 },
  '1x1, bias, relu': { x: [2, 5, 3, 8], co: 4, k: 1, bias: true, activation: 'relu' },
  '1x1, 6 to 5': { x: [1, 3, 3, 6], co: 5, k: 1 },
  'upsample 3x3, 8 to 4': { x: [2, 4, 5, 8], co: 4, k: 3, pad: 1, upsample: 2 },
  'upsample 3x3, 3 to 5, 1 pixel': { x: [1, 1, 1, 3], co: 5, k: 3, pad: 1, upsample: 2 },
  'upsample 3x3, 32 to 32, small': { x: [1, 6, 6, 32], co: 32, k: 3, pad: 1, upsample: 2 },
  '4x4 stride 1, 32 to 36, patches': { x: [2, 7, 6, 32], co: 36, k: 4, pad: 1 },
  '4x4 stride 2, upsampled, patches': { x: [1, 4, 5, 32], co: 40, k: 4, pad: 1, stride: 2, upsample: 2 },
  '5x5 stride 3, batch 3': { x: [3, 11, 7, 4], co: 8, k: 5, pad: 2, stride: 3 },
  '2x2 stride 2, 1 to 6': { x: [1, 6, 9, 1], co: 6, k: 2, stride: 2, bias: true },
  '2x2 stride 3 leaves pixels unseen': { x: [2, 8, 7, 4], co: 4, k: 2, pad: 1, stride: 3 },
  '1x1 stride 2': { x: [1, 5, 6, 4], co: 8, k: 1, stride: 2 },
  '3x3 on 2 rows': { x: [3, 2, 5, 4], co: 4, k: 3, pad: 1, bias: true },
  '5x5 upsampled': { x: [1, 3, 4, 4], co: 4, k: 5, pad: 2, upsample: 2 },
  '4x4 stride 2, upsampled': { x: [1, 3, 4, 4], co: 4, k: 4, pad: 1, stride: 2, upsample: 2 },
  '4x4 stride 1, 40 to 1, bias, batch 3': { x: [3, 6, 7, 40], co: 1, k: 4, pad: 1, bias: true },
  '3x3 odd sizes, batch 3, 8 to 12, relu': { x: [3, 9, 7, 8], co: 12, k: 3, pad: 1, activation: 'relu' },
  '3x3 smallest picture 2x2, tanh': { x: [1, 2, 2, 4], co: 8, k: 3, pad: 1, activation: 'tanh' },
  '3x3 on 3 columns': { x: [1, 8, 3, 4], co: 4, k: 3, pad: 1 },
  '3x3, 64 channels': { x: [1, 8, 12, 64], co: 64, k: 3, pad: 1, bias: true },
  '3x3, 552 tiles in two parts': { x: [1, 96, 92, 4], co: 4, k: 3, pad: 1 },
  '3x3 larger, 32 to 64': { x: [1, 16, 20, 32], co: 64, k: 3, pad: 1 },
  '3x3 in the copies of the queue': { x: [2, 16, 16, 64], co: 8, k: 3, pad: 1 },
  '4x4 stride 2, 64 to 64, four positions': { x: [1, 4, 4, 64], co: 64, k: 4, pad: 1, stride: 2, bias: true },
  '3x3, 132 to 136, batch 2': { x: [2, 4, 5, 132], co: 136, k: 3, pad: 1, bias: true },
  '3x3 stride 2, 70 to 131': { x: [1, 6, 9, 70], co: 131, k: 3, pad: 1, stride: 2 },
  '7x7 features 8 to 3, bias, leaky, batch 2, six parts': {
    ...{ x: [2, 14, 18, 8], co: 3, k: 7, pad: 3, bias: true, activation: 'leaky_relu', slope: 0.3 },
  },
  '3x3 doubled pictures 2 to 8, batch 2': { x: [2, 5, 4, 2], co: 8, k: 3, pad: 1, upsample: 2, bias: true },
  '5x5 doubled pictures 3 to 4, relu': {
    x: [1, 6, 8, 3],
    co: 4,
    k: 5,
    pad: 2,
    upsample: 2,
    activation: 'relu',
  },
  '4x4 stride 2, 32 to 40': { x: [1, 12, 20, 32], co: 40, k: 4, pad: 1, stride: 2, bias: true },
};

/** Whether `fitsTaps`: quads of positions and channels beside a side of up to four channels. */
function byTaps({ x: [N, H, W, CI], co, k, pad = 0, stride = 1, upsample = 1 }: Config): boolean {
  const out = (size: number) => Math.floor((size * upsample + 2 * pad - k) / stride) + 1;
  const thinOutput = co <= 4 && CI % 4 === 0 && (N * H * W) % 4 === 0;
  return thinOutput || (CI <= 4 && co % 4 === 0 && (N * out(H) * out(W)) % 4 === 0);
}

/**
 * Winograd's float32 error is that of the plain sum (measured: 4 to 9e-7), so it has no tolerance of its own.
 */
function variantsOf(config: Config): string[] {
  const { x, co, k, pad, stride = 1, upsample = 1 } = config;
  const winograd = k === 3 && pad === 1 && stride === 1 && upsample === 1 && x[3] % 4 === 0 && co % 4 === 0;
  const columns = x[3] % 4 === 0 && x[0] * x[1] * x[2] <= 256;
  // Larger ones have more tiles, not other parts of sums.
  const small = x[0] * x[1] * x[2] * x[3] <= 6000;
  // Each size is a kernel of its own to compile, which takes lavapipe seconds.
  const sizes = ['', '/large', ...(co > 132 ? ['/tall'] : [])];
  const tiled = (algorithm: string) => sizes.map((size) => `${algorithm}/tiles${size}`);
  return [
    ...['naive', 'gather/textures', ...tiled('gather')],
    ...(small ? ['gather/tiles/finest'] : []),
    ...(winograd ? ['winograd/textures', ...tiled('winograd')] : []),
    ...(columns ? ['columns'] : []),
    ...(byTaps(config) ? ['taps'] : []),
  ];
}

export const cases: OpCase[] = Object.entries(CONFIGS).map(([name, config], i) => {
  const { x, co, k, bias, ...options } = config;
  return {
    op: 'conv2d',
    name,
    inputs: {
      x: values(x, 100 + i),
      w: values([co, k, k, x[3]], 200 + i, 0.3),
      ...(bias ? { b: values([co], 300 + i) } : {}),
    },
    run: (t) => [conv2d(t.x, t.w, t.b ?? null, options)],
    reference: (v) => [convReference(v, options)],
    grad: bias ? ['x', 'w', 'b'] : ['x', 'w'],
    variants: variantsOf(config),
  };
});
