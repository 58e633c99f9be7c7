import { CapacityError, ShapeError } from '../errors.ts';
import { workgroupSize } from '../record/lanes.ts';
import { differentiable, grid1d, intermediate, launch, recorder, variantOf } from '../record/recorder.ts';
import { elements, expectRank, type Shape, show } from '../record/shape.ts';
import { type Tensor, viewOf } from '../record/tensor.ts';
import { activationGradient } from './activation.ts';
import { type SigmaGradient, sigmaBindings } from './conv2d/sigmaGradient.ts';
import { sumRows } from './sumRows.ts';

const WG = 64;

export interface LinearOptions {
  /** Fused into the store. */
  readonly activation?: 'none' | 'relu';
}

/**
 * Rows of each block of a weight [outFeatures, inFeatures] whose blocks fit one binding each.
 * @throws CapacityError when not even one row fits.
 */
export function splitRows(outFeatures: number, inFeatures: number, maxBinding: number): number[] {
  let most = Math.min(outFeatures, Math.floor(maxBinding / (4 * inFeatures)));
  if (most < 1) {
    throw new CapacityError(
      `linear: one row of ${inFeatures} weights needs ${Math.ceil(inFeatures / 2 ** 18)} MiB ` +
        `in one binding, this adapter allows ${Math.floor(maxBinding / 2 ** 20)} MiB`,
    );
  }
  // Whole tiles of the kernels, where a block has that many rows.
  if (most < outFeatures && most >= 8) most -= most % 8;
  const rows: number[] = [];
  for (let left = outFeatures; left > 0; left -= most) rows.push(Math.min(left, most));
  return rows;
}

/** Rows `first` .. `first + rows - 1` of a weight matrix; any shape whose elements are [rows, K]. */
export interface Block {
  readonly w: Tensor;
  readonly rows: number;
  readonly first: number;
}

/** Samples one workgroup handles, of N: as few registers as the weight's rows allow. */
export const MOST_SAMPLES = 8;

interface Tiling {
  WG: number;
  STEPS: number;
  R: number;
  NB: number;
  slices: number;
}

/** Tiles of linear/forward: long slices on a processor, where barriers cost; many workgroups on a GPU. */
function tile(N: number, K4: number, rows: number): Tiling {
  const { isCpu } = recorder().device;
  const NB = Math.min(N, MOST_SAMPLES);
  // Registers of a GPU hold fewer sums than a processor's cache.
  const most = isCpu ? (NB === 1 ? 4 : 8) : NB <= 2 ? 4 : 2;
  const R = Math.min(rows, most);
  const WG = workgroupSize();
  const groups = Math.ceil(rows / R) * Math.ceil(N / NB);
  const wanted = Math.ceil((isCpu ? 16 : 1024) / groups);
  const shortest = isCpu ? 64 : 4;
  const longest = isCpu ? 512 : 64;
  const even = Math.ceil(K4 / (WG * wanted));
  const STEPS = Math.max(1, Math.min(longest, Math.max(shortest, even)));
  return { WG, STEPS, R, NB, slices: Math.ceil(K4 / (WG * STEPS)) };
}

/** What follows the products of `rowProducts`. */
export interface LinearEpilogue {
  readonly b?: Tensor | null;
  readonly relu?: boolean;
  /** Leaves the sums over slices of k unadded: [slices,N,columns]. The caller adds them up. */
  readonly sliced?: boolean;
}

/**
 * y[n,o] = f(b[o] + Σₖ x[n,k] w[o,k]) over all blocks of rows; x [N,K] (or [K]) with K a multiple of 4.
 * @returns [N,columns]
 */
export function rowProducts(
  label: string,
  x: Tensor,
  blocks: readonly Block[],
  columns: number,
  epilogue: LinearEpilogue = {},
): Tensor {
  const { b = null, relu = false, sliced = false } = epilogue;
  const K4 = elements(blocks[0].w.shape) / blocks[0].rows / 4;
  const N = elements(x.shape) / (4 * K4);
  const { slices, ...tiles } = tile(N, K4, blocks[0].rows);
  const done = slices === 1;
  const after = { BIAS: b !== null, ACT: relu ? 1 : 0 };
  const y = intermediate(done ? [N, columns] : [slices, N, columns], label);
  for (const { w, rows: O, first: FIRST } of blocks) {
    launch({
      kernel: 'linear/forward',
      constants: { N, K4, O, COLUMNS: columns, FIRST, ...tiles, DONE: done, ...after },
      label,
      bind: [x, w, b ?? w, y],
      grid: [Math.ceil(O / tiles.R), slices, Math.ceil(N / tiles.NB)],
    });
  }
  return done || sliced ? y : addSlices(label, y, b, after);
}

function addSlices(label: string, part: Tensor, b: Tensor | null, after: { BIAS: boolean; ACT: number }) {
  const [SLICES, N, O] = part.shape;
  const y = intermediate([N, O], label);
  launch({
    kernel: 'linear/finish',
    constants: { NO: N * O, O, SLICES, ...after, WG },
    label,
    bind: [part, b ?? part, y],
    grid: grid1d(N * O, WG),
  });
  return y;
}

/**
 * x[n,k] = Σₒ dy[n,o] w[o,k] over all blocks of rows; K a multiple of 4.
 * @returns a tensor of `shape`, elements [N,K]
 */
export function columnProducts(label: string, dy: Tensor, blocks: readonly Block[], shape: Shape): Tensor {
  const { isCpu } = recorder().device;
  const K4 = elements(blocks[0].w.shape) / blocks[0].rows / 4;
  const N = elements(shape) / (4 * K4);
  const COLUMNS = elements(dy.shape) / N;
  const NB = Math.min(N, MOST_SAMPLES);
  const WG = workgroupSize();
  // With many samples more columns share each load of dy.
  const J = !isCpu || K4 < 256 ? 1 : NB > 4 ? 8 : 4;
  const tiles = Math.ceil(K4 / (WG * J));
  // Rows are sliced only where one block holds them all and columns alone do not fill a GPU.
  const wanted = blocks.length > 1 || isCpu ? 1 : Math.min(64, Math.ceil(1024 / tiles));
  const PER = Math.max(Math.ceil(blocks[0].rows / wanted), blocks.length > 1 ? 1 : 16);
  const slices = blocks.length > 1 ? 1 : Math.ceil(blocks[0].rows / PER);
  const dx = intermediate(slices === 1 ? shape : [slices, N * K4 * 4], label);
  for (const { w, rows: O, first: FIRST } of blocks) {
    const per = slices === 1 ? O : PER;
    launch({
      kernel: 'linear/backwardInput',
      constants: { N, K4, O, COLUMNS, FIRST, PER: per, J, NB, WG, ADD: FIRST > 0 },
      label,
      bind: [dy, w, dx],
      grid: [tiles, slices, Math.ceil(N / NB)],
    });
  }
  return slices === 1 ? dx : viewOf(sumRows(dx, label), shape);
}

/** Gradient of a linear layer's input: [N,K]. */
export function backwardInput(dy: Tensor, blocks: readonly Block[], shape: Shape): Tensor {
  return columnProducts('linear.backwardInput', dy, blocks, shape);
}

/** Gradient of one block of a linear layer's weight, with the outer products where there are any. */
export function backwardWeight(
  label: string,
  x: Tensor,
  dy: Tensor,
  block: Block,
  outer: SigmaGradient | null = null,
): Tensor {
  const { w, rows: O, first: FIRST } = block;
  const { isCpu } = recorder().device;
  const N = x.shape[0];
  const K4 = x.shape[1] / 4;
  const dw = intermediate(w.shape, 'linear dw');
  const WG = workgroupSize();
  const J = K4 < 256 ? 1 : isCpu ? 4 : 2;
  const PER = isCpu ? 32 : 8;
  for (let START = 0; START < N; START += MOST_SAMPLES) {
    const NB = Math.min(MOST_SAMPLES, N - START);
    const CALLS = START === 0 && outer ? outer.spectrum.calls : 0;
    const sizes = { K4, O, COLUMNS: dy.shape[1], FIRST, START, NB, PER, J, WG, ADD: START > 0, CALLS };
    launch({
      kernel: 'linear/backwardWeight',
      constants: sizes,
      label,
      bind: [dy, x, ...sigmaBindings(outer, x), dw],
      grid: [Math.ceil(K4 / (WG * J)), Math.ceil(O / PER), 1],
    });
  }
  return dw;
}

/** Blocks of rows, with the output column each starts at. */
function blocksOf(x: Shape, w: readonly Tensor[], b: Tensor | null): { blocks: Block[]; columns: number } {
  expectRank('linear', 'x', x, 2);
  let columns = 0;
  const blocks = w.map((block) => {
    expectRank('linear', 'w', block.shape, 2);
    if (block.shape[1] !== x[1]) {
      throw new ShapeError(
        `linear: weight expects ${block.shape[1]} features, x has ${x[1]} ` +
          `(x ${show(x)}, w ${show(block.shape)})`,
      );
    }
    const first = columns;
    columns += block.shape[0];
    return { w: block, rows: block.shape[0], first };
  });
  if (b && (b.shape.length !== 1 || b.shape[0] !== columns)) {
    throw new ShapeError(`linear: bias must be [${columns}], found ${show(b.shape)}`);
  }
  return { blocks, columns };
}

function naive(
  entry: string,
  bind: Tensor[],
  sizes: Record<string, number | boolean>,
  threads: number,
): void {
  const constants = { ...sizes, WG };
  launch({
    kernel: 'linear/naive',
    entry,
    constants,
    label: `linear.${entry}`,
    bind,
    grid: grid1d(threads, WG),
  });
}

/** The three products of a linear layer in one kernel variant. */
interface Products {
  forward(x: Tensor, blocks: Block[], columns: number, b: Tensor | null, relu: boolean): Tensor;
  input(dy: Tensor, blocks: Block[], shape: Shape): Tensor;
  weight(x: Tensor, dy: Tensor, block: Block): Tensor;
}

const fast: Products = {
  forward: (x, blocks, columns, b, relu) => rowProducts('linear.forward', x, blocks, columns, { b, relu }),
  input: backwardInput,
  weight: (x, dy, block) => backwardWeight('linear.backwardWeight', x, dy, block),
};

const simple: Products = {
  forward(x, blocks, columns, b, relu) {
    const [N, K] = x.shape;
    const y = intermediate([N, columns], 'linear');
    for (const { w, rows: O, first: FIRST } of blocks) {
      const sizes = { N, K, O, COLUMNS: columns, FIRST, BIAS: b !== null, ACT: relu ? 1 : 0 };
      naive('forward', [x, w, b ?? w, y], sizes, N * O);
    }
    return y;
  },
  input(dy, blocks, shape) {
    const [N, K] = shape;
    const dx = intermediate(shape, 'linear dx');
    for (const { w, rows: O, first: FIRST } of blocks) {
      const sizes = { N, K, O, COLUMNS: dy.shape[1], FIRST, MORE: FIRST > 0 };
      naive('backwardInput', [dy, w, w, dx], sizes, N * K);
    }
    return dx;
  },
  weight(x, dy, { w, rows: O, first: FIRST }) {
    const [N, K] = x.shape;
    const dw = intermediate(w.shape, 'linear dw');
    naive('backwardWeight', [dy, x, x, dw], { N, K, O, COLUMNS: dy.shape[1], FIRST }, elements(w.shape));
    return dw;
  },
};

/**
 * Fully connected layer, torch.nn.Linear: y = f(x wᵀ + b).
 * @param x [N,K]
 * @param w [O,K], or blocks of its rows (see `splitRows`) where it is too big for one binding
 * @param b [O] or null
 * @returns [N,O]
 * @throws ShapeError when the sizes do not fit.
 */
export function linear(
  x: Tensor,
  w: Tensor | readonly Tensor[],
  b: Tensor | null,
  options: LinearOptions = {},
): Tensor {
  const weights = 'id' in w ? [w] : w;
  const { blocks, columns } = blocksOf(x.shape, weights, b);
  const relu = options.activation === 'relu';
  const vector = x.shape[1] % 4 === 0;
  const products = variantOf('linear', 'fast') === 'naive' || !vector ? simple : fast;
  const y = products.forward(x, blocks, columns, b, relu);
  differentiable('linear', [x, ...weights, b], [y], ([dy], need) => {
    const dz = relu ? activationGradient('relu', 0.2, dy!, y) : dy!;
    return [
      need[0] ? products.input(dz, blocks, x.shape) : null,
      ...blocks.map((block, i) => (need[i + 1] ? products.weight(x, dz, block) : null)),
      need[blocks.length + 1] ? sumRows(dz, 'linear.backwardBias') : null,
    ];
  });
  return y;
}
