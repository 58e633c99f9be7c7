import { AdawnError } from '../../engine/errors.ts';
import { cam, heatMap } from '../../engine/ops/cam.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import type { Updates } from '../../engine/record/spectrum.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { convTensors, normalisedLayers } from '../layers.ts';
import { declare, ordered, type Scope } from '../scope.ts';
import type { ParameterSpec } from '../spec.ts';

/** What a discriminator is made of. */
export interface DiscriminatorConfig {
  readonly ch: number;
  /** Layers: 7 is the authors' global discriminator, 5 the local one; at least 3. */
  readonly layers: number;
}

/** What a discriminator says of a picture. */
export interface Judgement {
  /** [N,h,w,1], one logit a patch. */
  readonly logit: Tensor;
  /** [N,2]: the class-activation logits from average and max pooling. */
  readonly camLogit: Tensor;
  /** [N,h',w',1]. */
  readonly heatmap: Tensor;
}

const SLOPE = 0.2;

/** Convolutions of the trunk: Sequential slot, channels in and out, stride. */
function trunk({ ch, layers }: DiscriminatorConfig) {
  const list = [{ slot: 1, ci: 3, co: ch, stride: 2 }];
  for (let i = 1; i <= layers - 2; i++) {
    const ci = ch * 2 ** (i - 1);
    list.push({ slot: 1 + 3 * i, ci, co: 2 * ci, stride: i <= layers - 3 ? 2 : 1 });
  }
  return list;
}

/** Smallest side of a picture for a discriminator of that many layers. */
export function smallestSide(layers: number): number {
  return 3 * 2 ** (layers - 2);
}

/** Throws unless the discriminator can judge pictures of that side. @throws AdawnError naming the way out. */
export function checkDiscriminator(layers: number, size: number): void {
  if (!Number.isInteger(layers) || layers < 3) {
    throw new AdawnError(`--dis-layers: a discriminator needs at least 3 layers, got ${layers}`);
  }
  if (size < smallestSide(layers)) {
    const fits = Math.floor(Math.log2(size / 3)) + 2;
    const advice = fits >= 3 ? `, or lower --dis-layers (at most ${fits} at this size)` : '';
    throw new AdawnError(
      `--size ${size} is too small for a discriminator of ${layers} layers: ` +
        `use --size ${smallestSide(layers)} or more${advice}`,
    );
  }
}

/**
 * Judges pictures [N,H,W,3] (the authors' PatchGAN with class-activation maps and spectral norm).
 * `update` is training mode: every call advances the power iterations by one. With several calls the batch is
 * as many equal parts, judged one after the other by the authors; what they leave in u and v is the same.
 * As in their code, the logits use the spectrally normalised weights, the attention the unnormalised ones.
 */
export function discriminator(
  p: Scope,
  config: DiscriminatorConfig,
  picture: Tensor,
  updates: Updates,
): Judgement {
  const activation = 'leaky_relu';
  const convs = trunk(config).map((layer) => ({ ...layer, name: `model.${layer.slot}` }));
  const c = convs[convs.length - 1].co;
  const layer = normalisedLayers(
    p,
    [
      { name: 'gap_fc', ci: c, co: 1, k: 0 },
      { name: 'gmp_fc', ci: c, co: 1, k: 0 },
      { name: 'conv', ci: c, co: 1, k: 4 },
      ...convs.map(({ name, ci, co }) => ({ name, ci, co, k: 4, bias: true })),
    ],
    updates,
  );
  let x = picture;
  for (const { name, stride } of convs) {
    const { w, b, spectrum } = layer(name);
    x = conv2d(x, w, b, { stride, pad: 1, activation, slope: SLOPE, spectrum });
  }
  const [gap, gmp] = [layer('gap_fc'), layer('gmp_fc')];
  const spectra = { gap: gap.spectrum, gmp: gmp.spectrum };
  const { weight, bias } = convTensors(p, 'conv1x1', [2 * c, c, 1]);
  const weights = { wGap: gap.w, wGmp: gmp.w, conv: weight, bias };
  const { logit: camLogit, y } = cam(x, weights, { activation, slope: SLOPE, spectra });
  const { w, spectrum } = layer('conv');
  const logit = conv2d(y, w, null, { pad: 1, spectrum });
  return { logit, camLogit, heatmap: heatMap(y) };
}

/** Prefixes of a discriminator's tensors in the order of the authors' files. */
const ORDER = ['gap_fc', 'gmp_fc', 'conv1x1', 'conv.', 'model'];

/** Every tensor of a discriminator (names as in the authors' state_dict). */
export function discriminatorSpecs(config: DiscriminatorConfig, maxBinding: number): ParameterSpec[] {
  const side = smallestSide(config.layers);
  const updates = { calls: 1, update: false };
  return ordered(
    declare((p, input) => discriminator(p, config, input([1, side, side, 3]), updates), maxBinding),
    ORDER,
  );
}
