import type { Device } from '../../device.ts';
import { grid1d, intermediate, launch, memoised, recorder } from '../../recorder.ts';
import { integers } from '../../scalar.ts';
import type { Tensor } from '../../tensor.ts';
import type { ConvEpilogue, ConvKernels, ConvSizes } from '../conv2d.ts';
import { accessTo, fitsMatrices, inTextures, type Matrices, makeMatrices, multiply } from './matrices.ts';

// F(4x4,3x3): 36 products per tile of 4x4 outputs and pair of channels instead of 144 (Lavin and Gray, arXiv
// 1509.09308). Backward is the transpose of every step, so the gradients share dM, and U with forward:
//   V = Bᵀ d B      U = G g Gᵀ    M = V Uᵀ     y = Aᵀ M A
//   dM = A dy Aᵀ    dV = dM U     dx = overlapping sum of B dV Bᵀ
//   dU = dMᵀ V      dw = Gᵀ dU G

const TILE = 4;
const LAYERS = 36;
const WG = 64;
/** Quads of channels that share the index arithmetic of a pixel in overlap.wgsl. */
const LANES = 16;
/** On a GPU the weight gradient's sum over tiles is split into parts of at most so many. */
const GPU_PART = 512;
const folder = 'conv2d/winograd';

/** The tiles of one layer, as rows of the batched products. */
interface Tiling {
  readonly tilesY: number;
  readonly tilesX: number;
  readonly tiles: number;
  /** Rows in a layer of a matrix, a multiple of 4. */
  readonly rows: number;
  /** Layers that the tiles of one transform element are spread over. */
  readonly parts: number;
}

function tilingOf(device: Device, { N, H, W }: ConvSizes): Tiling {
  const tilesY = Math.ceil(H / TILE);
  const tilesX = Math.ceil(W / TILE);
  const tiles = N * tilesY * tilesX;
  const parts = Math.ceil(tiles / (inTextures(device) ? device.gpu.limits.maxTextureDimension2D : GPU_PART));
  return { tilesY, tilesX, tiles, parts, rows: Math.ceil(tiles / parts / 4) * 4 };
}

/**
 * Whether this path computes a layer: 3x3, stride 1, padded by 1, channels in quads, matrices not too large.
 */
export function fitsWinograd(device: Device, sizes: ConvSizes): boolean {
  const { K, S, P, UP, CI, CO } = sizes;
  if (K !== 3 || S !== 1 || P !== 1 || UP !== 1 || CI % 4 !== 0 || CO % 4 !== 0) return false;
  const { parts, rows } = tilingOf(device, sizes);
  const layers = LAYERS * parts;
  const extents = [
    { layers, rows, columns: CI },
    { layers, rows, columns: CO },
    { layers, rows: CO, columns: CI },
  ];
  return extents.every((extent) => fitsMatrices(device, extent));
}

/** The buffer of kernels/conv2d/winograd/sizes.wgsl. */
function transformSizes(sizes: ConvSizes, tiling: Tiling, channels: number): Tensor {
  const { tilesY, tilesX, tiles, rows, parts } = tiling;
  return integers([sizes.H, sizes.W, tilesY, tilesX, tiles, rows, parts, channels / 4]);
}

interface Transform {
  readonly kernel: string;
  readonly sizes: Tensor;
  readonly bind: readonly Tensor[];
  readonly access: readonly ('from' | 'to')[];
  readonly threads: number;
  readonly constants?: Record<string, number | boolean>;
}

function transform(device: Device, { kernel, sizes, bind, access, threads, constants }: Transform): void {
  launch({
    kernel: `${folder}/${kernel}`,
    libs: [`${folder}/lines`, `${folder}/sizes`, ...access.map((direction) => accessTo(device, direction))],
    constants: { ...constants, WG },
    label: `conv2d.winograd.${kernel}`,
    bind: [sizes, ...bind],
    grid: grid1d(threads, WG),
  });
}

/** Tiles of a picture as matrices: V of x (kernel `input`) or dM of dy (`outputBackward`). */
function tilesOf(kernel: 'input' | 'outputBackward', picture: Tensor, sizes: ConvSizes): Matrices {
  const { device } = recorder();
  const tiling = tilingOf(device, sizes);
  const columns = picture.shape[3];
  const { parts, rows } = tiling;
  const made = makeMatrices(device, { layers: LAYERS * parts, rows, columns }, `conv2d ${kernel}`);
  transform(device, {
    kernel,
    sizes: transformSizes(sizes, tiling, columns),
    bind: [picture, made.tensor],
    access: ['to'],
    threads: (parts * rows * columns) / 4,
  });
  return made;
}

/** U, made once a step for all uses of a weight. */
function weightsOf(w: Tensor, sizes: ConvSizes): Matrices {
  const { device } = recorder();
  const { CO: rows, CI: columns } = sizes;
  return memoised(`${folder} ${inTextures(device)}`, [w], () => {
    const made = makeMatrices(device, { layers: LAYERS, rows, columns }, 'conv2d winograd weight');
    transform(device, {
      kernel: 'weight',
      sizes: integers([0, 0, 0, 0, 0, rows, 1, columns / 4]),
      bind: [w, made.tensor],
      access: ['to'],
      threads: (rows * columns) / 4,
    });
    return made;
  });
}

function forward(x: Tensor, w: Tensor, b: Tensor | null, sizes: ConvSizes, epilogue: ConvEpilogue): Tensor {
  const { device } = recorder();
  const { N, H, W, CO } = sizes;
  const tiling = tilingOf(device, sizes);
  const forms = { aByK: false, bByK: false };
  const m = multiply(device, tilesOf('input', x, sizes), weightsOf(w, sizes), forms, 'conv2d.forward');
  const y = intermediate([N, H, W, CO], 'conv2d');
  transform(device, {
    kernel: 'output',
    sizes: transformSizes(sizes, tiling, CO),
    bind: [m.tensor, b ?? w, y],
    access: ['from'],
    threads: (tiling.tiles * CO) / 4,
    constants: { ...epilogue },
  });
  return y;
}

function backwardInput(dm: Matrices, w: Tensor, sizes: ConvSizes): Tensor {
  const { device } = recorder();
  const { N, H, W, CI } = sizes;
  const tiling = tilingOf(device, sizes);
  const forms = { aByK: false, bByK: true };
  const dv = multiply(device, dm, weightsOf(w, sizes), forms, 'conv2d.backwardInput');
  const dd = makeMatrices(device, dv, 'conv2d inputBackward');
  const layer = transformSizes(sizes, tiling, CI);
  transform(device, {
    kernel: 'inputBackward',
    sizes: layer,
    bind: [dv.tensor, dd.tensor],
    access: ['from', 'to'],
    threads: (tiling.tiles * CI) / 4,
  });
  const dx = intermediate([N, H, W, CI], 'conv2d dx');
  transform(device, {
    kernel: 'overlap',
    sizes: layer,
    bind: [dd.tensor, dx],
    access: ['from'],
    threads: N * H * W * LANES,
    constants: { LANES },
  });
  return dx;
}

function backwardWeight(x: Tensor, dm: Matrices, sizes: ConvSizes): Tensor {
  const { device } = recorder();
  const { CO, CI } = sizes;
  const v = tilesOf('input', x, sizes);
  const forms = { aByK: true, bByK: true };
  const du = multiply(device, dm, v, forms, 'conv2d.backwardWeight');
  const dw = intermediate([CO, 3, 3, CI], 'conv2d dw');
  transform(device, {
    kernel: 'weightBackward',
    sizes: integers([0, 0, 0, 0, 0, CO, du.layers / LAYERS, CI / 4]),
    bind: [du.tensor, dw],
    access: ['from'],
    threads: (CO * CI) / 4,
  });
  return dw;
}

/** Layers that `fitsWinograd`. */
export const winograd: ConvKernels = {
  forward,
  backward(x, w, dy, sizes, need) {
    const dm = tilesOf('outputBackward', dy, sizes);
    return [need[0] ? backwardInput(dm, w, sizes) : null, need[1] ? backwardWeight(x, dm, sizes) : null];
  },
};
