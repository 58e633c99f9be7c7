import { differentiable, grid1d, intermediate, launch } from '../record/recorder.ts';
import { elements, expectRank } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';
import { attend } from './cam/attend.ts';
import { camPool } from './cam/pool.ts';
import { type CamSpectra, camLogits } from './camLogits.ts';
import type { ConvOptions } from './conv2d/sizes.ts';

const WG = 64;

function heat(entry: 'forward' | 'backward', x: Tensor, y: Tensor, P: number, C: number): void {
  launch({
    kernel: 'cam/heat',
    entry,
    constants: { P, C, WG },
    label: `cam.heat.${entry}`,
    bind: [x, y],
    grid: grid1d(elements(y.shape), WG),
  });
}

/**
 * Sum over channels: the attention heat map.
 * @param x [N,H,W,C]
 * @returns [N,H,W,1]
 */
export function heatMap(x: Tensor): Tensor {
  expectRank('heatMap', 'x', x.shape, 4);
  const C = x.shape[3];
  const P = elements(x.shape) / C;
  const y = intermediate(x.shape.with(3, 1), 'cam.heat');
  heat('forward', x, y, P, C);
  differentiable('cam', [x], [y], ([dy]) => {
    const dx = intermediate(x.shape, 'cam.heat dx');
    heat('backward', dy!, dx, P, C);
    return [dx];
  });
  return y;
}

/** Weights of a CAM block. */
export interface CamWeights {
  /** [1,C]: of the logit of the averages. */
  readonly wGap: Tensor;
  /** [1,C]: of the logit of the maxima. */
  readonly wGmp: Tensor;
  /** The 1x1 convolution's weight [CO,1,1,2C]. */
  readonly conv: Tensor;
  /** [CO] */
  readonly bias: Tensor;
}

export interface CamOptions extends Pick<ConvOptions, 'activation' | 'slope'> {
  /** Of wGap and wGmp, where the logits use them under spectral norm, as U-GAT-IT's discriminators do. */
  readonly spectra?: CamSpectra;
}

/**
 * Class-activation-map block: logits of the pooled features, and the features weighted by the logits' weights
 * (as they are stored, also under spectral norm: the authors' code has it so) and mixed by a 1x1 convolution.
 * @param x [N,H,W,C]
 * @returns logit [N,2] (of the averages, of the maxima) and y [N,H,W,CO]
 */
export function cam(
  x: Tensor,
  { wGap, wGmp, conv, bias }: CamWeights,
  { spectra, ...options }: CamOptions,
): { logit: Tensor; y: Tensor } {
  const { gap, gmp } = camPool(x);
  const logit = camLogits(gap, gmp, wGap, wGmp, spectra ?? null);
  return { logit, y: attend(x, conv, wGap, wGmp, bias, options) };
}
