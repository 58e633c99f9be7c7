import type { Device } from '../../device/device.ts';
import { integers } from '../../record/constants.ts';
import { memoised } from '../../record/memo.ts';
import { grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { ConvKernels } from './kernels.ts';
import { fitsMatrices, type Matrices, makeMatrices, multiply, operand, type Store } from './matrices.ts';
import { MOST_INDICES } from './quotient.ts';
import type { ConvEpilogue, ConvSizes } from './sizes.ts';

// F(4x4,3x3): 36 products per tile of 4x4 outputs and pair of channels instead of 144 (Lavin and Gray, arXiv
// 1509.09308). Backward is the transpose of every step, so the gradients share dM, and U with forward, and V
// where it is small:
//   V = Bᵀ d B      U = G g Gᵀ    M = V Uᵀ     y = Aᵀ M A
//   dM = A dy Aᵀ    dV = dM U     dx = overlapping sum of B dV Bᵀ
//   dU = dMᵀ V      dw = Gᵀ dU G

const TILE = 4;
const SIDE = 6;
const LAYERS = SIDE * SIDE;
/** Lanes of a subgroup that the products from textures are written for. */
const LANES_OF_SHUFFLES = 8;
/** Items of a workgroup of the transforms, as in kernels/lib/winogradTile.wgsl. */
const LANES = 16;
/** On a GPU the weight gradient's sum over tiles is split into parts of at most so many. */
const GPU_PART = 512;
/**
 * Bytes of V, of the whole batch, up to which lavapipe keeps it for the way back: 2 to 3 % of an iteration at
 * 96x96 and 128x128. At 256x256 it would take 230 MB, since textures of 36 layers share memory with little
 * else. On a GPU nobody has measured what that gains.
 */
const MOST_KEPT = 5 * 2 ** 20;
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

/** Tiles of 4x4 outputs of a whole batch. */
export function winogradTiles({ N, H, W }: ConvSizes): number {
  return N * Math.ceil(H / TILE) * Math.ceil(W / TILE);
}

function tilingOf(device: Device, sizes: ConvSizes, textures: boolean): Tiling {
  const tilesY = Math.ceil(sizes.H / TILE);
  const tilesX = Math.ceil(sizes.W / TILE);
  const tiles = winogradTiles(sizes);
  const parts = Math.ceil(tiles / (textures ? device.gpu.limits.maxTextureDimension2D : GPU_PART));
  return { tilesY, tilesX, tiles, parts, rows: Math.ceil(tiles / parts / 4) * 4 };
}

/**
 * Whether this algorithm computes a layer, with its operands in textures or in buffers: 3x3, stride 1, padded
 * by 1, channels in quads, matrices not too large.
 */
export function fitsWinograd(device: Device, sizes: ConvSizes, textures: boolean): boolean {
  const { K, S, P, UP, CI, CO } = sizes;
  if (K !== 3 || S !== 1 || P !== 1 || UP !== 1 || CI % 4 !== 0 || CO % 4 !== 0) return false;
  if (textures && device.subgroupSize !== LANES_OF_SHUFFLES) return false;
  const { parts, rows } = tilingOf(device, sizes, textures);
  const quads = Math.max(CI, CO) / 4;
  const indices = [sizes.N * sizes.H * sizes.W, parts * rows * quads, CO * quads];
  if (indices.some((most) => most > MOST_INDICES)) return false;
  const layers = LAYERS * parts;
  const extents = [
    { layers, rows, columns: CI },
    { layers, rows, columns: CO },
    { layers, rows: CO, columns: CI },
  ];
  return extents.every((extent) => fitsMatrices(device, extent, textures));
}

/** The buffer of kernels/lib/winogradTile.wgsl. */
function transformSizes(sizes: ConvSizes, tiling: Tiling, channels: number): Tensor {
  const { tilesY, tilesX, tiles, rows, parts } = tiling;
  return integers([sizes.H, sizes.W, tilesY, tilesX, tiles, rows, parts, channels / 4]);
}

/** The same for a transform of weights. */
function weightSizes({ CO, CI }: ConvSizes, parts: number): Tensor {
  return integers([0, 0, 0, 0, 0, CO, parts, CI / 4]);
}

interface Transform {
  readonly kernel: string;
  /** Sizes first. */
  readonly bind: readonly Tensor[];
  /** Tiles or output channels, times quads of channels. */
  readonly items: number;
  readonly constants?: Record<string, number | boolean>;
}

/**
 * Transforms that on a processor leave an item to one invocation, line by line: a fifth to a third faster
 * than six that wait for each other. Those that read a product's layers gained nothing in an iteration.
 */
const BY_ONE_INVOCATION = new Set(['input', 'outputBackward', 'weight']);

function transform({ kernel, bind, items, constants }: Transform): void {
  const label = `conv2d.winograd.${kernel}`;
  const LINES = recorder().device.isCpu && BY_ONE_INVOCATION.has(kernel) ? 1 : SIDE;
  launch({
    kernel: `${folder}/${kernel}`,
    constants: { ...constants, LINES, LINE_COUNT: SIDE },
    label,
    bind,
    grid: grid1d(items, LANES),
  });
}

/** Tiles of a picture as operands: V of x (kernel `input`) or dM of dy (`outputBackward`). */
function tilesOf(
  kernel: 'input' | 'outputBackward',
  picture: Tensor,
  sizes: ConvSizes,
  store: Store,
): Matrices {
  const tiling = tilingOf(recorder().device, sizes, store.textures);
  const columns = picture.shape[3];
  const { parts, rows } = tiling;
  const made = makeMatrices({ layers: LAYERS * parts, rows, columns }, `conv2d ${kernel}`);
  const bind = [transformSizes(sizes, tiling, columns), picture, made.tensor];
  transform({ kernel, bind, items: (parts * rows * columns) / 4 });
  return operand(made, store, 'conv2d.winograd.copy');
}

/**
 * V of x, for both ways unless it is large. (Under spectral norm they differ: forward takes x / sigma.)
 */
function inputOf(x: Tensor, sizes: ConvSizes, store: Store): Matrices {
  const { parts, rows } = tilingOf(recorder().device, sizes, store.textures);
  const make = () => tilesOf('input', x, sizes, store);
  if (!store.textures || LAYERS * parts * rows * sizes.CI * 4 > MOST_KEPT) return make();
  return memoised(`${folder} input`, [x], make);
}

/** U, made once a step for all uses of a weight. */
function weightsOf(w: Tensor, sizes: ConvSizes, store: Store): Matrices {
  const { CO: rows, CI: columns } = sizes;
  return memoised(`${folder} ${store.textures}`, [w], () => {
    const made = makeMatrices({ layers: LAYERS, rows, columns }, 'conv2d winograd weight');
    const bind = [weightSizes(sizes, 1), w, made.tensor];
    transform({ kernel: 'weight', bind, items: (rows * columns) / 4 });
    return operand(made, store, 'conv2d.winograd.copyWeight');
  });
}

function forward(
  [x, w, b]: readonly [Tensor, Tensor, Tensor | null],
  sizes: ConvSizes,
  epilogue: ConvEpilogue,
  store: Store,
): Tensor {
  const { N, H, W, CO } = sizes;
  const tiling = tilingOf(recorder().device, sizes, store.textures);
  const forms = { aByK: false, bByK: false };
  const operands = [inputOf(x, sizes, store), weightsOf(w, sizes, store)] as const;
  const m = multiply(operands, forms, store, 'conv2d.forward');
  const y = intermediate([N, H, W, CO], 'conv2d');
  const bind = [transformSizes(sizes, tiling, CO), m.tensor, b ?? w, y];
  transform({ kernel: 'output', bind, items: (tiling.tiles * CO) / 4, constants: { ...epilogue } });
  return y;
}

function backwardInput(dm: Matrices, w: Tensor, sizes: ConvSizes, store: Store): Tensor {
  const { device } = recorder();
  const { N, H, W, CI } = sizes;
  const tiling = tilingOf(device, sizes, store.textures);
  const forms = { aByK: false, bByK: true };
  const dv = multiply([dm, weightsOf(w, sizes, store)], forms, store, 'conv2d.backwardInput');
  const layer = transformSizes(sizes, tiling, CI);
  const dd = dv; // in place
  const bind = [layer, dd.tensor];
  transform({ kernel: 'inputBackward', bind, items: (tiling.tiles * CI) / 4 });
  const dx = intermediate([N, H, W, CI], 'conv2d dx');
  // Invocations that share the channels of a pixel, and its index arithmetic.
  const SPREAD = device.isCpu ? 4 : 16;
  const WG = device.isCpu ? 8 : 64;
  launch({
    kernel: `${folder}/overlap`,
    constants: { SPREAD, WG },
    label: 'conv2d.winograd.overlap',
    bind: [layer, dd.tensor, dx],
    grid: grid1d(N * H * W * SPREAD, WG),
  });
  return dx;
}

function backwardWeight(x: Tensor, dm: Matrices, sizes: ConvSizes, store: Store): Tensor {
  const { CO, CI } = sizes;
  const v = inputOf(x, sizes, store);
  const du = multiply([dm, v], { aByK: true, bByK: true }, store, 'conv2d.backwardWeight');
  const dw = intermediate([CO, 3, 3, CI], 'conv2d dw');
  const bind = [weightSizes(sizes, du.layers / LAYERS), du.tensor, dw];
  transform({ kernel: 'weightBackward', bind, items: (CO * CI) / 4 });
  return dw;
}

/** Layers that `fitsWinograd`. */
export function winograd(store: Store): ConvKernels {
  return {
    forward: (x, w, b, sizes, epilogue) => forward([x, w, b], sizes, epilogue, store),
    backward(x, w, dy, sizes, need) {
      const dm = tilesOf('outputBackward', dy, sizes, store);
      return [
        need[0] ? backwardInput(dm, w, sizes, store) : null,
        need[1] ? backwardWeight(x, dm, sizes, store) : null,
      ];
    },
  };
}
