import { AdawnError } from '../../engine/errors.ts';
import {
  adailn,
  cam,
  camPool,
  conv2d,
  heatMap,
  iln,
  instanceNorm,
  linear,
  type NormOptions,
  reshape,
  type Tensor,
  type Updates,
} from '../../engine/index.ts';
import {
  conv,
  convTensors,
  dense,
  linearWeight,
  normalisedLayers,
  perChannel,
  uniformInit,
} from '../layers.ts';
import { declare, ordered, recomputed, type Scope } from '../scope.ts';
import type { ParameterSpec } from '../spec.ts';

// U-GAT-IT's networks (arXiv 1907.10830) as the authors' PyTorch code has them.

/** What a generator is made of. */
export interface GeneratorConfig {
  /** Light: gamma and beta come from pooled features; full: from the whole flattened map. */
  readonly light: boolean;
  /** Pixels of a side; a multiple of 4. Full is tied to it. */
  readonly size: number;
  /** Base channels; the bottleneck has 4·ch. */
  readonly ch: number;
  /** Residual blocks in the encoder, and again in the decoder. */
  readonly nRes: number;
  /** Compute residual blocks once more on the way back instead of keeping them: less memory, same bits. */
  readonly checkpointActivations?: boolean;
}

/** What a generator gives for a picture. */
export interface Translation {
  /** [N,H,W,3] in [-1, 1]. */
  readonly image: Tensor;
  /** [N,2]: the class-activation logits from average and max pooling. */
  readonly camLogit: Tensor;
  /** [N,H/4,W/4,1], at least 0. */
  readonly heatmap: Tensor;
}

/**
 * A residual block, recomputed on the way back where the configuration says so.
 * @param inputs activations that it reads; it asks the scope that it gets for its weights
 */
function residual(
  p: Scope,
  { checkpointActivations }: GeneratorConfig,
  inputs: readonly Tensor[],
  build: (p: Scope) => Tensor,
): Tensor {
  return checkpointActivations ? recomputed(p, inputs, build) : build(p);
}

function encode(p: Scope, config: GeneratorConfig, picture: Tensor): Tensor {
  const { ch, nRes } = config;
  const activation = 'relu';
  const c = 4 * ch;
  let x = instanceNorm(conv(p, 'DownBlock.1', picture, { to: ch, k: 7, pad: 3 }), { activation });
  x = instanceNorm(conv(p, 'DownBlock.5', x, { to: 2 * ch, k: 3, pad: 1, stride: 2 }), { activation });
  x = instanceNorm(conv(p, 'DownBlock.9', x, { to: c, k: 3, pad: 1, stride: 2 }), { activation });
  const same = { to: c, k: 3, pad: 1 } as const;
  for (let i = 0; i < nRes; i++) {
    const block = `DownBlock.${12 + i}.conv_block`;
    const before = x;
    x = residual(p, config, [before], (q) => {
      const h = instanceNorm(conv(q, `${block}.1`, before, same), { activation });
      return instanceNorm(conv(q, `${block}.5`, h, same), { residual: before });
    });
  }
  return x;
}

/** Logits of the class activation map, and what the attention makes of the encoder's features. */
function attention(p: Scope, x: Tensor): { logit: Tensor; y: Tensor } {
  const c = x.shape[3];
  const [wGap, wGmp] = ['gap_fc', 'gmp_fc'].map((name) => linearWeight(p, name, c, 1));
  const { weight, bias } = convTensors(p, 'conv1x1', [2 * c, c, 1]);
  return cam(x, { wGap, wGmp, conv: weight, bias }, { activation: 'relu' });
}

/** gamma and beta of every AdaILN, [N, 4ch] each. */
interface Style {
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

/**
 * The first fully connected layer. Full: on the flattened map, 1 GiB of weights at 256, split into row blocks
 * that one binding can hold.
 */
function firstLayer(p: Scope, light: boolean, y: Tensor): Tensor {
  const [N, H, W, C] = y.shape;
  const activation = 'relu';
  if (light) return dense(p, 'FC.0', camPool(y).gap, C, { activation });
  const inputs = H * W * C;
  const weights = p.blocks('FC.0.weight', {
    shape: [C, H, W, C],
    authorsShape: [C, inputs],
    layout: 'mapLinear',
    init: uniformInit(inputs),
    inBlocks: true,
  });
  const rows = weights.map((block) => reshape(block, [block.shape[0], inputs]));
  return linear(reshape(y, [N, inputs]), rows, null, { activation });
}

function style(p: Scope, { light }: GeneratorConfig, y: Tensor): Style {
  const c = y.shape[3];
  const h = dense(p, 'FC.2', firstLayer(p, light, y), c, { activation: 'relu' });
  return { gamma: dense(p, 'gamma', h, c), beta: dense(p, 'beta', h, c) };
}

function decode(p: Scope, config: GeneratorConfig, y: Tensor, { gamma, beta }: Style): Tensor {
  const { ch, nRes } = config;
  const activation = 'relu';
  const c = 4 * ch;
  let x = y;
  for (let i = 1; i <= nRes; i++) {
    const before = x;
    const half = (q: Scope, j: 1 | 2, h: Tensor, options: NormOptions) => {
      const block = `UpBlock1_${i}`;
      const z = conv(q, `${block}.conv${j}`, h, { to: c, k: 3, pad: 1 });
      return adailn(z, perChannel(q, `${block}.norm${j}.rho`, c, 0.9, 'rho'), gamma, beta, options);
    };
    x = residual(p, config, [before, gamma, beta], (q) =>
      half(q, 2, half(q, 1, before, { activation }), { residual: before }),
    );
  }
  for (const [slot, to] of [
    [2, 2 * ch],
    [7, ch],
  ]) {
    const norm = `UpBlock2.${slot + 1}`;
    const h = conv(p, `UpBlock2.${slot}`, x, { to, k: 3, pad: 1, upsample: 2 });
    const rho = perChannel(p, `${norm}.rho`, to, 0, 'rho');
    const [gain, shift] = [perChannel(p, `${norm}.gamma`, to, 1), perChannel(p, `${norm}.beta`, to, 0)];
    x = iln(h, rho, gain, shift, { activation });
  }
  return conv(p, 'UpBlock2.11', x, { to: 3, k: 7, pad: 3, activation: 'tanh' });
}

/**
 * Translates pictures [N,H,W,3] in [-1, 1] (U-GAT-IT's generator, arXiv 1907.10830, as the authors' PyTorch
 * code has it). Light takes any size that is a multiple of 4; full only its own.
 * @throws AdawnError for a size it cannot take.
 */
export function generator(p: Scope, config: GeneratorConfig, picture: Tensor): Translation {
  const [, H, W] = picture.shape;
  if (H % 4 !== 0 || W % 4 !== 0) throw new AdawnError(`generator: ${W}x${H} is not a multiple of 4`);
  if (!config.light && (H !== config.size || W !== config.size)) {
    throw new AdawnError(
      `generator: the full model was made for ${config.size}x${config.size} pictures, got ${W}x${H}: ` +
        'resize the picture, or use a light model',
    );
  }
  const { logit, y } = attention(p, encode(p, config, picture));
  return { image: decode(p, config, y, style(p, config, y)), camLogit: logit, heatmap: heatMap(y) };
}

/** Prefixes of a generator's tensors in the order of the authors' files. */
const GENERATOR_ORDER = [
  'gap_fc',
  'gmp_fc',
  'conv1x1',
  'gamma',
  'beta',
  'UpBlock1_',
  'DownBlock',
  'FC',
  'UpBlock2',
];

/** Every tensor of a generator (names as in the authors' state_dict). */
export function generatorSpecs(config: GeneratorConfig, maxBinding: number): ParameterSpec[] {
  const side = config.size;
  return ordered(
    declare((p, input) => generator(p, config, input([1, side, side, 3])), maxBinding),
    GENERATOR_ORDER,
  );
}

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
const DISCRIMINATOR_ORDER = ['gap_fc', 'gmp_fc', 'conv1x1', 'conv.', 'model'];

/** Every tensor of a discriminator (names as in the authors' state_dict). */
export function discriminatorSpecs(config: DiscriminatorConfig, maxBinding: number): ParameterSpec[] {
  const side = smallestSide(config.layers);
  const updates = { calls: 1, update: false };
  return ordered(
    declare((p, input) => discriminator(p, config, input([1, side, side, 3]), updates), maxBinding),
    DISCRIMINATOR_ORDER,
  );
}
