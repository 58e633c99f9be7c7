import type { Device } from '../../device/device.ts';
import { memoised } from '../../record/memo.ts';
import { grid1d, intermediate, launch } from '../../record/recorder.ts';
import { elements, type Shape } from '../../record/shape.ts';
import { type Tensor, viewOf } from '../../record/tensor.ts';
import { sumRows } from '../sumRows.ts';
import type { ConvKernels } from './kernels.ts';
import { fitsMatrices, type Matrices, multiply } from './matrices.ts';
import type { ConvEpilogue, ConvSizes } from './sizes.ts';
import { gatherTiled } from './tiled.ts';

// Of a layer with few channels on one side (pictures, logits) a product has few columns, and a tile computes
// 64. Here every tap has its own: with Wide [positions, channels] the other side, and Taps the weights, a row
// for each tap and thin channel,
//   Z = Taps Wideᵀ    a plane of all positions for each row; a thin pixel is the sum of one number a plane
//   dTaps = dZ Wide, dWide = dZᵀ Taps    where dZ is the thin side spread into planes, as the sums transpose
// That is a layer with few outputs. With few inputs Wide is dy: Z makes dx, and dZ is made of x.

/** Most channels of a thin side. */
export const THIN = 4;

/**
 * The weight gradient is a sum over parts of the positions: long ones, as partial sums are written and read
 * once more, or shorter ones where it takes them to fill a GPU.
 */
const LONGEST_PART = 512;
const LONGEST_TO_FILL = 128;
/** Workgroups that fill a large GPU (H100: 132 cores), two a core. */
const ENOUGH = 2 * 132;
/** With less the products' last sums take as long as the products. */
const SHORTEST_PART = 64;

const WG = 64;
const BUFFERS = { textures: false };

/** The thin side of a layer, and the product of the other side with its taps. */
interface Thin {
  readonly isOutput: boolean;
  readonly channels: number;
  /** Channels and positions of the other side. */
  readonly wide: number;
  readonly positions: number;
  /** Positions of a part of them: divides them, and is a multiple of 4. */
  readonly part: number;
  /** Taps times thin channels. */
  readonly planes: number;
}

/** Positions of a part: a multiple of 4 that divides them all; null where only short ones do. */
function partOf(positions: number, rows: number, columns: number): number | null {
  const tiles = Math.ceil(rows / 64) * Math.ceil(columns / 64);
  const filling = 4 * Math.floor((positions * tiles) / ENOUGH / 4);
  const longest = Math.max(LONGEST_TO_FILL, Math.min(LONGEST_PART, filling));
  if (positions <= longest) return positions % 4 === 0 ? positions : null;
  for (let part = longest; part >= SHORTEST_PART; part -= 4) if (positions % part === 0) return part;
  return null;
}

/** The thin side of a layer that has one, if quads fill the other. */
function thinOf({ N, H, W, CI, CO, OH, OW, K }: ConvSizes): Thin | null {
  const isOutput = CO <= THIN && CI % 4 === 0;
  const [channels, wide] = isOutput ? [CO, CI] : [CI, CO];
  const positions = isOutput ? N * H * W : N * OH * OW;
  if (channels > THIN || wide % 4 !== 0) return null;
  const planes = K * K * channels;
  const part = partOf(positions, planes, wide);
  return part === null ? null : { isOutput, channels, wide, positions, part, planes };
}

/** Whether this variant computes a layer: one side thin, quads of positions and channels on the other. */
export function fitsTaps(device: Device, s: ConvSizes): boolean {
  const thin = thinOf(s);
  if (!thin) return false;
  const { planes: rows, positions, part, wide } = thin;
  // The workgroups of the smallest tiles.
  if (positions / 64 > device.gpu.limits.maxComputeWorkgroupsPerDimension) return false;
  const extents = [
    { layers: 1, rows, columns: positions },
    { layers: positions / part, rows, columns: wide },
  ];
  return extents.every((extent) => fitsMatrices(device, extent, false));
}

const matrices = (tensor: Tensor, layers: number, rows: number, columns: number): Matrices => ({
  ...{ tensor: viewOf(tensor, [layers, rows, columns]), layers, rows, columns },
});

/** Constants of kernels/lib/taps.wgsl. */
function geometryOf({ N, H, W, OH, OW, K, S, P, UP }: ConvSizes, { channels: C }: Thin) {
  return { N, H, W, C, OH, OW, K, S, P, UP };
}

function transposed(label: string, x: Tensor, ROWS: number, COLUMNS: number): Tensor {
  const y = intermediate([COLUMNS, ROWS], label);
  const grid = grid1d(ROWS * COLUMNS, WG);
  launch({ kernel: 'conv2d/transpose', constants: { ROWS, COLUMNS, WG }, label, bind: [x, y], grid });
  return y;
}

/** The weights of a tap and thin channel a row, [planes, wide]: w itself, or transposed once per step. */
function tapsOf(w: Tensor, { isOutput, planes, wide }: Thin): Matrices {
  const label = 'conv2d.transpose';
  const rows = isOutput ? w : memoised(label, [w], () => transposed(label, w, wide, planes));
  return matrices(rows, 1, planes, wide);
}

/** A plane of all positions for each tap and thin channel. */
function planesOf(label: string, wide: Tensor, w: Tensor, thin: Thin): Tensor {
  const right = matrices(wide, 1, thin.positions, thin.wide);
  return multiply([tapsOf(w, thin), right], { aByK: false, bByK: false }, BUFFERS, label).tensor;
}

interface Sums {
  readonly entry: 'main' | 'backward';
  readonly shape: Shape;
  readonly b: Tensor | null;
  readonly epilogue?: ConvEpilogue;
}

/** The thin result that is summed of planes. */
function gathered(z: Tensor, s: ConvSizes, thin: Thin, { entry, shape, b, epilogue }: Sums): Tensor {
  const label = 'conv2d.gatherTaps';
  const y = intermediate(shape, label);
  launch({
    kernel: 'conv2d/gatherTaps',
    entry,
    constants: { ...geometryOf(s, thin), ...epilogue, WG },
    label,
    bind: [z, b ?? z, y],
    grid: grid1d(elements(shape), WG),
  });
  return y;
}

/** The thin side as planes of all positions, part by part. */
function spread(side: Tensor, s: ConvSizes, thin: Thin): Matrices {
  const label = 'conv2d.spreadTaps';
  const { isOutput, planes, positions, part, channels } = thin;
  const y = intermediate([positions / part, planes, part], label);
  launch({
    kernel: 'conv2d/spreadTaps',
    entry: isOutput ? 'backward' : 'main',
    constants: { ...geometryOf(s, thin), PART: part, WG },
    label,
    bind: [side, y],
    grid: grid1d(positions * s.K * channels, WG),
  });
  return matrices(y, positions / part, planes, part);
}

/** The other side, of that shape, from planes of the thin one. */
function widened(label: string, planes: Matrices, w: Tensor, thin: Thin, shape: Shape): Tensor {
  const forms = { aByK: true, bByK: true };
  return viewOf(multiply([planes, tapsOf(w, thin)], forms, BUFFERS, label).tensor, shape);
}

/** dw, of that shape, from planes of the thin side and all of the other. */
function weightGradient(planes: Matrices, other: Tensor, thin: Thin, shape: Shape): Tensor {
  const label = 'conv2d.backwardWeight';
  const wide = matrices(other, planes.layers, thin.part, thin.wide);
  const parts = multiply([planes, wide], { aByK: false, bByK: true }, BUFFERS, label);
  const flat = viewOf(parts.tensor, [planes.layers, thin.planes * thin.wide]);
  const sum = planes.layers === 1 ? flat : sumRows(flat, label);
  return viewOf(thin.isOutput ? sum : transposed('conv2d.transpose', sum, thin.planes, thin.wide), shape);
}

const tiled = gatherTiled();

/** Layers that `fitsTaps`. */
export const taps: ConvKernels = {
  forward(x, w, b, s, epilogue, spectrum) {
    const thin = thinOf(s)!;
    const label = 'conv2d.forward';
    const shape = [s.N, s.OH, s.OW, s.CO];
    if (thin.isOutput) {
      return gathered(planesOf(label, x, w, thin), s, thin, { entry: 'main', shape, b, epilogue });
    }
    // Tiles have a place for what follows the sums, where this product has none.
    const isPlain = !epilogue.BIAS && epilogue.ACT === 0;
    if (!isPlain) return tiled.forward(x, w, b, s, epilogue, spectrum);
    return widened(label, spread(x, s, thin), w, thin, shape);
  },
  backward(x, w, dy, s, need) {
    const thin = thinOf(s)!;
    const label = 'conv2d.backwardInput';
    if (thin.isOutput) {
      const planes = spread(dy, s, thin);
      const dx = need[0] ? widened(label, planes, w, thin, x.shape) : null;
      return [dx, need[1] ? weightGradient(planes, x, thin, w.shape) : null];
    }
    const sums = { entry: 'backward', shape: x.shape, b: null } as const;
    return [
      need[0] ? gathered(planesOf(label, dy, w, thin), s, thin, sums) : null,
      need[1] ? weightGradient(spread(x, s, thin), dy, thin, w.shape) : null,
    ];
  },
};
