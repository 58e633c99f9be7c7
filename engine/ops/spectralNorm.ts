import { ShapeError } from '../errors.ts';
import { workgroupSize } from '../record/lanes.ts';
import { differentiable, grid1d, intermediate, launch, recorder, variantOf } from '../record/recorder.ts';
import { elements, show } from '../record/shape.ts';
import type { SpectralLayer, Spectrum, Updates } from '../record/spectrum.ts';
import type { Tensor } from '../record/tensor.ts';
import { batched } from './spectralNorm/batch.ts';
import { naiveBackward, naiveScale, naiveSpectrum } from './spectralNorm/naive.ts';

function checkLayer({ w, u, v }: SpectralLayer): void {
  const O = w.shape[0];
  const M = elements(w.shape) / O;
  if (elements(u.shape) !== O || elements(v.shape) !== M) {
    throw new ShapeError(
      `spectralNorm: w ${show(w.shape)} needs u [${O}] and v [${M}], ` +
        `found ${show(u.shape)} and ${show(v.shape)}`,
    );
  }
}

const isFast = ({ v }: SpectralLayer) =>
  variantOf('spectralNorm', 'fast') !== 'naive' && elements(v.shape) % 4 === 0;

/**
 * Spectra of weights seen as matrices W [O,M], by torch.nn.utils.spectral_norm: with `update` every call is
 * one power iteration, v = normalize(Wᵀ u), u = normalize(W v), written into the persistent u and v too;
 * sigma = uᵀ W v. Several calls follow each other, as if the network ran that often. Layers that lie in the
 * same buffers (those of a network do) share their launches. Part of the program being recorded.
 * @throws ShapeError when the sizes do not fit.
 */
export function spectra(layers: readonly SpectralLayer[], updates: Updates): Spectrum[] {
  layers.forEach(checkLayer);
  if (layers.every(isFast)) return batched(layers, updates);
  return layers.map((layer) =>
    isFast(layer) ? batched([layer], updates)[0] : naiveSpectrum(layer, updates),
  );
}

function scaled(w: Tensor, sigma: Tensor): Tensor {
  const y = intermediate(w.shape, 'spectralNorm');
  const N4 = Math.ceil(elements(w.shape) / 4);
  const tile = recorder().device.isCpu ? { WG: 8, PER: 32 } : { WG: 64, PER: 4 };
  launch({
    kernel: 'spectralNorm/scale',
    constants: { N4, ...tile },
    label: 'spectralNorm.scale',
    bind: [w, sigma, y],
    grid: grid1d(N4, tile.WG * tile.PER),
  });
  return y;
}

function backward(dy: Tensor, w: Tensor, { u, v, sigma }: Spectrum): Tensor {
  const { isCpu } = recorder().device;
  const [O, M] = [elements(u.shape), elements(v.shape)];
  const N4 = (O * M) / 4;
  const WG = workgroupSize(256);
  const groups = Math.min(isCpu ? 16 : 128, Math.ceil(N4 / (4 * WG)));
  const PARTS4 = Math.ceil(groups / 4);
  const part = intermediate([PARTS4 * 4], 'spectralNorm.dot');
  launch({
    kernel: 'spectralNorm/dot',
    constants: { N4, PER: Math.ceil(N4 / groups), WG },
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

/**
 * torch.nn.utils.spectral_norm as one tensor: w / sigma, sigma by one call of `spectra`, whose u and v are
 * constants to the autograd. For ops that take no spectrum themselves; conv2d does, and never divides the
 * weight.
 * @param w [O,...]
 * @param u [O], persistent
 * @param v [rest], persistent
 * @returns a tensor of w's shape
 * @throws ShapeError when the sizes do not fit.
 */
export function spectralNorm(w: Tensor, u: Tensor, v: Tensor, { update }: { update: boolean }): Tensor {
  const layer = { w, u, v };
  const [spectrum] = spectra([layer], { calls: 1, update });
  const fast = isFast(layer);
  const y = (fast ? scaled : naiveScale)(w, spectrum.sigma);
  differentiable('spectralNorm', [w], [y], ([dy]) => [(fast ? backward : naiveBackward)(dy!, w, spectrum)]);
  return y;
}
