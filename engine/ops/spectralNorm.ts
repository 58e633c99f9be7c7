import { ShapeError } from '../errors.ts';
import { differentiable, grid1d, intermediate, launch, recorder, variantOf } from '../recorder.ts';
import { scalar } from '../scalar.ts';
import { noteScaled } from '../scaled.ts';
import { elements, type Shape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { columnProducts, rowProducts } from './linear.ts';

const WG = 64;

/** Rows and columns of a weight seen as a matrix: dimension 0 against the rest. */
interface Sizes {
  readonly O: number;
  readonly M: number;
}

/** What one call leaves for its backward pass. */
interface Iteration {
  readonly u: Tensor;
  readonly v: Tensor;
  readonly sigma: Tensor;
}

/** The steps of spectral norm in one kernel variant. */
interface Steps {
  iterate(w: Tensor, u: Tensor, v: Tensor, sizes: Sizes): Iteration;
  fixed(w: Tensor, u: Tensor, v: Tensor, sizes: Sizes): Iteration;
  scale(w: Tensor, sigma: Tensor): Tensor;
  backward(dy: Tensor, w: Tensor, kept: Iteration, sizes: Sizes): Tensor;
}

function kept({ O, M }: Sizes): Iteration {
  return { u: intermediate([O], 'u'), v: intermediate([M], 'v'), sigma: intermediate([1], 'sigma') };
}

/** W·x as partial sums over slices of columns. */
function timesColumns(w: Tensor, x: Tensor, O: number): Tensor {
  return rowProducts('spectralNorm.project', x, [{ w, rows: O, first: 0 }], O, { sliced: true });
}

/**
 * Floats of a weight up to which one workgroup iterates: it takes less time than three launches that use the
 * whole adapter.
 */
const smallMost = () => (recorder().device.isCpu ? 2 ** 14 : 2 ** 12);

function iterateSmall(w: Tensor, u: Tensor, v: Tensor, sizes: Sizes): Iteration {
  const own = kept(sizes);
  launch({
    kernel: 'spectralNorm/small',
    constants: { O: sizes.O, M4: sizes.M / 4, WG: recorder().device.isCpu ? 32 : 256 },
    label: 'spectralNorm.iterate',
    bind: [w, u, v, own.u, own.v, own.sigma],
    grid: [1, 1, 1],
  });
  return own;
}

const fast: Steps = {
  iterate(w, u, v, sizes) {
    const { O, M } = sizes;
    if (O * M <= smallMost()) return iterateSmall(w, u, v, sizes);
    const t = columnProducts('spectralNorm.project', u, [{ w, rows: O, first: 0 }], [M]);
    const s = timesColumns(w, t, O);
    const own = kept(sizes);
    launch({
      kernel: 'spectralNorm/iterate',
      constants: { M4: M / 4, O, SLICES: elements(s.shape) / O, WG: recorder().device.isCpu ? 32 : 256 },
      label: 'spectralNorm.iterate',
      bind: [t, s, u, v, own.u, own.v, own.sigma],
      grid: [1, 1, 1],
    });
    return own;
  },
  fixed(w, u, v, sizes) {
    const { O, M } = sizes;
    const s = timesColumns(w, v, O);
    const own = kept(sizes);
    launch({
      kernel: 'spectralNorm/fixed',
      constants: { M4: M / 4, O, SLICES: elements(s.shape) / O, WG },
      label: 'spectralNorm.fixed',
      bind: [s, u, v, own.u, own.v, own.sigma],
      grid: [1, 1, 1],
    });
    return own;
  },
  scale(w, sigma) {
    const y = intermediate(w.shape, 'spectralNorm');
    const N4 = Math.ceil(elements(w.shape) / 4);
    const lanes = recorder().device.isCpu ? { WG: 8, PER: 32 } : { WG: 64, PER: 4 };
    launch({
      kernel: 'spectralNorm/scale',
      constants: { N4, ...lanes },
      label: 'spectralNorm.scale',
      bind: [w, sigma, y],
      grid: grid1d(N4, lanes.WG * lanes.PER),
    });
    return y;
  },
  backward: backwardFast,
};

function backwardSmall(dy: Tensor, w: Tensor, { u, v, sigma }: Iteration, { O, M }: Sizes): Tensor {
  const dw = intermediate(dy.shape, 'spectralNorm dw');
  launch({
    kernel: 'spectralNorm/smallBackward',
    constants: { O, M4: M / 4, WG: recorder().device.isCpu ? 32 : 256 },
    label: 'spectralNorm.backward',
    bind: [dy, w, u, v, sigma, dw],
    grid: [1, 1, 1],
  });
  return dw;
}

/** Floats of a weight up to which one workgroup does it all on the way back: one launch instead of two. */
const SMALL_BACKWARD = 2 ** 12;

function backwardFast(dy: Tensor, w: Tensor, own: Iteration, sizes: Sizes): Tensor {
  const { u, v, sigma } = own;
  const { O, M } = sizes;
  if (O * M <= SMALL_BACKWARD) return backwardSmall(dy, w, own, sizes);
  const { isCpu } = recorder().device;
  const N4 = (O * M) / 4;
  const lanes = isCpu ? 8 : 256;
  const groups = Math.min(isCpu ? 16 : 128, Math.ceil(N4 / (4 * lanes)));
  const PARTS4 = Math.ceil(groups / 4);
  const part = intermediate([PARTS4 * 4], 'spectralNorm.dot');
  launch({
    kernel: 'spectralNorm/dot',
    constants: { N4, PER: Math.ceil(N4 / groups), WG: lanes },
    label: 'spectralNorm.backward',
    bind: [dy, w, part],
    grid: [PARTS4 * 4, 1, 1],
  });
  const dw = intermediate(dy.shape, 'spectralNorm dw');
  const M4 = M / 4;
  const tile = isCpu ? { WG: 8, J: M4 >= 64 ? 8 : 1, PER: 64 } : { WG: 64, J: 1, PER: 16 };
  launch({
    kernel: 'spectralNorm/backward',
    constants: { O, M4, PARTS4, ...tile },
    label: 'spectralNorm.backward',
    bind: [dy, part, u, v, sigma, dw],
    grid: [Math.ceil(M4 / (tile.WG * tile.J)), Math.ceil(O / tile.PER), 1],
  });
  return dw;
}

type Entry = 'columns' | 'rows' | 'rowDots' | 'norm' | 'product' | 'sum' | 'divide' | 'outer' | 'subtract';

/** One step of the naive twin; writes a new tensor unless `into` is given. */
function step(entry: Entry, O: number, M: number, bind: Tensor[], shape: Shape, into?: Tensor): Tensor {
  const y = into ?? intermediate(shape, `spectralNorm ${entry}`);
  const [a, b = a, c = b] = bind;
  const one = entry === 'norm' || entry === 'product' || entry === 'sum';
  launch({
    kernel: 'spectralNorm/naive',
    entry,
    constants: { O, M, WG },
    label: `spectralNorm.${entry}`,
    bind: [a, b, c, y],
    grid: one ? [1, 1, 1] : grid1d(elements(shape), WG),
  });
  return y;
}

/** A copy in two places: divide by `length` into an intermediate, and into the persistent vector. */
function divideTwice(x: Tensor, length: Tensor, persistent: Tensor): Tensor {
  const n = elements(x.shape);
  step('divide', 1, n, [x, length], [n], persistent);
  return step('divide', 1, n, [x, length], [n]);
}

const simple: Steps = {
  iterate(w, u, v, { O, M }) {
    const t = step('columns', O, M, [w, u], [M]);
    const ownV = divideTwice(t, step('norm', 1, M, [t], [1]), v);
    const s = step('rows', O, M, [w, ownV], [O]);
    const ownU = divideTwice(s, step('norm', 1, O, [s], [1]), u);
    return { u: ownU, v: ownV, sigma: step('product', 1, O, [ownU, s], [1]) };
  },
  fixed(w, u, v, { O, M }) {
    const s = step('rows', O, M, [w, v], [O]);
    const sigma = step('product', 1, O, [u, s], [1]);
    const copy = (x: Tensor, n: number) => step('divide', 1, n, [x, scalar(1)], [n]);
    return { u: copy(u, O), v: copy(v, M), sigma };
  },
  scale: (w, sigma) => step('divide', 1, elements(w.shape), [w, sigma], w.shape),
  backward(dy, w, { u, v, sigma }, { O, M }) {
    const y = step('divide', 1, O * M, [w, sigma], w.shape);
    const dots = step('rowDots', O, M, [dy, y], [O]);
    const dot = step('sum', 1, O, [dots], [1]);
    const outer = step('outer', O, M, [dot, u, v], dy.shape);
    return step('subtract', 1, O * M, [dy, outer, sigma], dy.shape);
  },
};

function sizesOf(w: Tensor, u: Tensor, v: Tensor): Sizes {
  const O = w.shape[0];
  const M = elements(w.shape) / O;
  if (elements(u.shape) !== O || elements(v.shape) !== M) {
    throw new ShapeError(
      `spectralNorm: w ${show(w.shape)} needs u [${O}] and v [${M}], ` +
        `found ${show(u.shape)} and ${show(v.shape)}`,
    );
  }
  return { O, M };
}

/**
 * torch.nn.utils.spectral_norm: w / sigma, sigma = uᵀ W v with W [O,rest] = w. With `update` (training mode)
 * one power iteration first: v = normalize(Wᵀ u), u = normalize(W v), written into the persistent u and v.
 * u and v are constants to the autograd, and each call keeps its own for its backward pass.
 * @param w [O,...]
 * @param u [O], persistent
 * @param v [rest], persistent
 * @returns a tensor of w's shape
 * @throws ShapeError when the sizes do not fit.
 */
export function spectralNorm(w: Tensor, u: Tensor, v: Tensor, options: { update: boolean }): Tensor {
  const sizes = sizesOf(w, u, v);
  const steps = variantOf('spectralNorm', 'fast') === 'naive' || sizes.M % 4 !== 0 ? simple : fast;
  const own = options.update ? steps.iterate(w, u, v, sizes) : steps.fixed(w, u, v, sizes);
  const y = steps.scale(w, own.sigma);
  noteScaled(y, { w, sigma: own.sigma });
  differentiable('spectralNorm', [w], [y], ([dy]) => [steps.backward(dy!, w, own, sizes)]);
  return y;
}
