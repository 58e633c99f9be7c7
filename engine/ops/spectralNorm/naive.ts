import { scalar } from '../../record/constants.ts';
import { grid1d, intermediate, launch, reshape } from '../../record/recorder.ts';
import { elements, type Shape } from '../../record/shape.ts';
import type { SpectralLayer, Spectrum, Updates } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';
import { concat } from '../concat.ts';

const WG = 64;

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

function iterate({ w, u, v }: SpectralLayer, O: number, M: number): Spectrum {
  const t = step('columns', O, M, [w, u], [M]);
  const ownV = divideTwice(t, step('norm', 1, M, [t], [1]), v);
  const s = step('rows', O, M, [w, ownV], [O]);
  const ownU = divideTwice(s, step('norm', 1, O, [s], [1]), u);
  return { calls: 1, u: ownU, v: ownV, sigma: step('product', 1, O, [ownU, s], [1]) };
}

function fixed({ w, u, v }: SpectralLayer, O: number, M: number): Spectrum {
  const s = step('rows', O, M, [w, v], [O]);
  const sigma = step('product', 1, O, [u, s], [1]);
  const copy = (x: Tensor, n: number) => step('divide', 1, n, [x, scalar(1)], [n]);
  return { calls: 1, u: copy(u, O), v: copy(v, M), sigma };
}

/** The spectrum of one layer of any size, as written first. */
export function naiveSpectrum(layer: SpectralLayer, { calls, update }: Updates): Spectrum {
  const [O] = layer.u.shape;
  const [M] = layer.v.shape;
  const each = Array.from({ length: calls }, () => (update ? iterate : fixed)(layer, O, M));
  const all = (name: 'u' | 'v' | 'sigma') =>
    each.length === 1
      ? each[0][name]
      : concat(
          each.map((one) => one[name]),
          0,
        );
  return { calls, sigma: all('sigma'), u: reshape(all('u'), [calls, O]), v: reshape(all('v'), [calls, M]) };
}

/** w / sigma. */
export function naiveScale(w: Tensor, sigma: Tensor): Tensor {
  return step('divide', 1, elements(w.shape), [w, sigma], w.shape);
}

/** Gradient of w through w / sigma, step by step. */
export function naiveBackward(dy: Tensor, w: Tensor, { u, v, sigma }: Spectrum): Tensor {
  const [O, M] = [elements(u.shape), elements(v.shape)];
  const y = naiveScale(w, sigma);
  const dots = step('rowDots', O, M, [dy, y], [O]);
  const dot = step('sum', 1, O, [dots], [1]);
  const outer = step('outer', O, M, [dot, u, v], dy.shape);
  return step('subtract', 1, O * M, [dy, outer, sigma], dy.shape);
}
