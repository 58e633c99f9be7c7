import { ShapeError } from '../errors.ts';
import { workgroupSize } from '../record/lanes.ts';
import { differentiable, grid1d, intermediate, launch, variantOf } from '../record/recorder.ts';
import { elements, expectRank, type Shape, sameShape, show } from '../record/shape.ts';
import type { Spectrum } from '../record/spectrum.ts';
import type { Tensor } from '../record/tensor.ts';

const WG = 64;

/** Spectra of the two weights, which come from the same calls. */
export interface CamSpectra {
  readonly gap: Spectrum;
  readonly gmp: Spectrum;
}

/** What the kernels bind, with w in the place of what they do not read. */
interface Head {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly sigma: Tensor;
  readonly u: Tensor;
  readonly v: Tensor;
}

/** The average's head and the maximum's, in this order, as everywhere. */
interface Heads {
  readonly list: readonly [gap: Head, gmp: Head];
  readonly sizes: { readonly N: number; readonly C: number };
  readonly calls: { readonly CALLS: number; readonly SPECTRAL: boolean };
}

/** The passes in one kernel variant. */
interface Passes {
  forward(heads: Heads): Tensor;
  input(heads: Heads, dy: Tensor): Tensor[];
  weight(heads: Heads, dy: Tensor, y: Tensor): Tensor[];
}

const fast: Passes = {
  forward({ list: [gap, gmp], sizes, calls }) {
    const y = intermediate([sizes.N, 2], 'camLogits');
    launch({
      kernel: 'camLogits/forward',
      constants: { ...sizes, ...calls, WG: workgroupSize() },
      label: 'camLogits.forward',
      bind: [gap.x, gmp.x, gap.w, gmp.w, gap.sigma, gmp.sigma, y],
      grid: [2, sizes.N, 1],
    });
    return y;
  },
  input({ list: [gap, gmp], sizes, calls }, dy) {
    const dx = [gap, gmp].map(({ x }) => intermediate(x.shape, 'camLogits dx'));
    launch({
      kernel: 'camLogits/backwardInput',
      constants: { ...sizes, ...calls, WG },
      label: 'camLogits.backwardInput',
      bind: [dy, gap.w, gmp.w, gap.sigma, gmp.sigma, ...dx],
      grid: grid1d(sizes.N * sizes.C, WG),
    });
    return dx;
  },
  weight({ list, sizes, calls: { CALLS, SPECTRAL } }, dy, y) {
    const dw = list.map(({ w }) => intermediate(w.shape, 'camLogits dw'));
    const label = 'camLogits.backwardWeight';
    const grid = [Math.ceil(sizes.C / WG), 1, 1] as const;
    if (!SPECTRAL) {
      const bind = [dy, list[0].x, list[1].x, ...dw];
      launch({ kernel: 'camLogits/backwardWeight', constants: { ...sizes, WG }, label, bind, grid });
      return dw;
    }
    list.forEach(({ x, sigma, u, v }, HEAD) => {
      const constants = { ...sizes, CALLS, HEAD, WG };
      const bind = [dy, y, x, sigma, u, v, dw[HEAD]];
      launch({ kernel: 'camLogits/backwardSpectral', constants, label, bind, grid });
    });
    return dw;
  },
};

type Entry = 'forward' | 'backwardInput' | 'backwardWeight';

/** One pass of the naive twin for both heads. */
function simply(entry: Entry, { list, sizes, calls }: Heads, dy: Tensor | null, to: Tensor[]): Tensor[] {
  const threads = { forward: sizes.N, backwardInput: sizes.N * sizes.C, backwardWeight: sizes.C }[entry];
  list.forEach(({ x, w, sigma, u, v }, HEAD) => {
    launch({
      kernel: 'camLogits/naive',
      entry,
      constants: { ...sizes, ...calls, HEAD, WG },
      label: `camLogits.${entry}`,
      bind: [x, w, sigma, u, v, dy ?? w, to[HEAD]],
      grid: grid1d(threads, WG),
    });
  });
  return to;
}

const like = (shape: Shape) => intermediate(shape, 'camLogits');

const simple: Passes = {
  forward(heads) {
    const y = like([heads.sizes.N, 2]);
    return simply('forward', heads, null, [y, y])[0];
  },
  input: (heads, dy) =>
    simply(
      'backwardInput',
      heads,
      dy,
      heads.list.map(({ x }) => like(x.shape)),
    ),
  weight: (heads, dy) =>
    simply(
      'backwardWeight',
      heads,
      dy,
      heads.list.map(({ w }) => like(w.shape)),
    ),
};

function headOf(x: Tensor, w: Tensor, spectrum: Spectrum | undefined): Head {
  const { sigma, u, v } = spectrum ?? { sigma: w, u: w, v: w };
  return { x, w, sigma, u, v };
}

function expectSizes(gap: Tensor, gmp: Tensor, weights: readonly Tensor[], spectra: CamSpectra | null): void {
  expectRank('camLogits', 'gap', gap.shape, 2);
  const C = gap.shape[1];
  if (!sameShape(gap.shape, gmp.shape) || weights.some(({ shape }) => elements(shape) !== C)) {
    const shapes = [gmp, ...weights].map(({ shape }) => show(shape)).join(', ');
    throw new ShapeError(`camLogits: gap ${show(gap.shape)} and gmp, wGap, wGmp ${shapes} do not fit`);
  }
  if (!spectra) return;
  for (const { calls, sigma, u, v } of [spectra.gap, spectra.gmp]) {
    const found = [sigma, u, v].map(({ shape }) => elements(shape));
    if (calls !== spectra.gap.calls || found.some((n, i) => n !== (i < 2 ? calls : calls * C))) {
      throw new ShapeError(
        `camLogits: ${calls} calls of ${C} channels need a sigma and a u each and v of ${calls * C}, ` +
          `found ${found.join(', ')}`,
      );
    }
  }
}

/**
 * Class-activation logits, the authors' gap_fc and gmp_fc and the concatenation of what they give:
 * logit[n,0] = <gap[n], wGap> / sigma, logit[n,1] = <gmp[n], wGmp> / sigma. With spectra the weights are
 * spectrally normalised: sample n of N uses call floor(n K / N), and the gradient of a weight includes the
 * way through sigma = uᵀ w v (u and v constant).
 * @param gap [N,C] average of every channel
 * @param gmp [N,C] maximum of every channel
 * @param wGap C values
 * @param wGmp C values
 * @param spectra of wGap and wGmp; null where nothing is divided
 * @returns [N,2]
 * @throws ShapeError when the sizes do not fit.
 */
export function camLogits(
  gap: Tensor,
  gmp: Tensor,
  wGap: Tensor,
  wGmp: Tensor,
  spectra: CamSpectra | null,
): Tensor {
  expectSizes(gap, gmp, [wGap, wGmp], spectra);
  const [N, C] = gap.shape;
  const heads: Heads = {
    list: [headOf(gap, wGap, spectra?.gap), headOf(gmp, wGmp, spectra?.gmp)],
    sizes: { N, C },
    calls: { CALLS: spectra?.gap.calls ?? 1, SPECTRAL: spectra !== null },
  };
  const passes = variantOf('camLogits', 'fast') === 'naive' ? simple : fast;
  const y = passes.forward(heads);
  differentiable('camLogits', [gap, gmp, wGap, wGmp], [y], ([dy], need) => [
    ...(need[0] || need[1] ? passes.input(heads, dy!) : [null, null]),
    ...(need[2] || need[3] ? passes.weight(heads, dy!, y) : [null, null]),
  ]);
  return y;
}
