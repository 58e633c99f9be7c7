import { AdawnError } from '../engine/errors.ts';
import { checkpoint } from '../engine/grad/recompute.ts';
import { camPool } from '../engine/ops/cam/pool.ts';
import { cam, heatMap } from '../engine/ops/cam.ts';
import { linear, splitRows } from '../engine/ops/linear.ts';
import { adailn, iln, instanceNorm } from '../engine/ops/norm.ts';
import { reshape } from '../engine/record/recorder.ts';
import type { Tensor } from '../engine/record/tensor.ts';
import { channelSpec, conv, convSpecs, type Lookup, linearSpec, one, plainSpec } from './layers.ts';
import type { ParameterSpec } from './parameters.ts';

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

/** Name of the i-th (from 0) residual block of the encoder, a Sequential slot. */
const encoderBlock = (i: number) => `DownBlock.${12 + i}.conv_block`;

/**
 * The first fully connected layer. Full: the flattened map, 1 GiB of weights at 256: split into row blocks
 * that one binding can hold.
 */
function fcSpec({ light, size, ch }: GeneratorConfig, maxBinding: number): ParameterSpec {
  const c = 4 * ch;
  if (light) return linearSpec('FC.0', c, c);
  const side = size / 4;
  const inputs = side * side * c;
  return {
    name: 'FC.0.weight',
    shape: [c, side, side, c],
    authorsShape: [c, inputs],
    layout: 'mapLinear',
    init: { kind: 'uniform', value: 1 / Math.sqrt(inputs) },
    role: 'parameter',
    blocks: splitRows(c, inputs, maxBinding),
  };
}

/** Every tensor of a generator (names as in the authors' state_dict). */
export function generatorSpecs(config: GeneratorConfig, maxBinding: number): ParameterSpec[] {
  const { ch, nRes } = config;
  const c = 4 * ch;
  const specs = [
    linearSpec('gap_fc', c, 1),
    linearSpec('gmp_fc', c, 1),
    ...convSpecs('conv1x1', [2 * c, c, 1], true),
    linearSpec('gamma', c, c),
    linearSpec('beta', c, c),
  ];
  for (let i = 1; i <= nRes; i++) {
    for (const j of [1, 2]) {
      specs.push(...convSpecs(`UpBlock1_${i}.conv${j}`, [c, c, 3], false));
      specs.push(channelSpec(`UpBlock1_${i}.norm${j}.rho`, c, 0.9, 'rho'));
    }
  }
  specs.push(...convSpecs('DownBlock.1', [3, ch, 7], false));
  specs.push(...convSpecs('DownBlock.5', [ch, 2 * ch, 3], false));
  specs.push(...convSpecs('DownBlock.9', [2 * ch, c, 3], false));
  for (let i = 0; i < nRes; i++) {
    for (const j of [1, 5]) specs.push(...convSpecs(`${encoderBlock(i)}.${j}`, [c, c, 3], false));
  }
  specs.push(fcSpec(config, maxBinding), linearSpec('FC.2', c, c));
  specs.push(...upSpecs(2, c, 2 * ch), ...upSpecs(7, 2 * ch, ch));
  specs.push(...convSpecs('UpBlock2.11', [ch, 3, 7], false));
  return specs;
}

function upSpecs(slot: number, ci: number, co: number): ParameterSpec[] {
  const norm = `UpBlock2.${slot + 1}`;
  return [
    ...convSpecs(`UpBlock2.${slot}`, [ci, co, 3], false),
    channelSpec(`${norm}.rho`, co, 0, 'rho'),
    plainSpec(`${norm}.gamma`, [co], { kind: 'constant', value: 1 }, 'parameter', [1, co, 1, 1]),
    plainSpec(`${norm}.beta`, [co], { kind: 'constant', value: 0 }, 'parameter', [1, co, 1, 1]),
  ];
}

/** A residual block, recomputed on the way back where the configuration says so. */
function residual({ checkpointActivations }: GeneratorConfig, inputs: Tensor[], build: () => Tensor): Tensor {
  return checkpointActivations ? checkpoint(inputs, build) : build();
}

function encode(p: Lookup, config: GeneratorConfig, picture: Tensor): Tensor {
  const activation = 'relu';
  let x = instanceNorm(conv(p, 'DownBlock.1', picture, { pad: 3 }), { activation });
  x = instanceNorm(conv(p, 'DownBlock.5', x, { pad: 1, stride: 2 }), { activation });
  x = instanceNorm(conv(p, 'DownBlock.9', x, { pad: 1, stride: 2 }), { activation });
  for (let i = 0; i < config.nRes; i++) {
    const [first, second] = [1, 5].map((slot) => `${encoderBlock(i)}.${slot}`);
    const before = x;
    const inputs = [before, one(p, `${first}.weight`), one(p, `${second}.weight`)];
    x = residual(config, inputs, () => {
      const h = instanceNorm(conv(p, first, before, { pad: 1 }), { activation });
      return instanceNorm(conv(p, second, h, { pad: 1 }), { residual: before });
    });
  }
  return x;
}

/** Logits of the class activation map, and what the attention makes of the encoder's features. */
function attention(p: Lookup, x: Tensor): { logit: Tensor; y: Tensor } {
  const weights = {
    wGap: one(p, 'gap_fc.weight'),
    wGmp: one(p, 'gmp_fc.weight'),
    conv: one(p, 'conv1x1.weight'),
    bias: one(p, 'conv1x1.bias'),
  };
  return cam(x, weights, { activation: 'relu' });
}

/** gamma and beta of every AdaILN, [N, 4ch] each. */
interface Style {
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

function style(p: Lookup, { light }: GeneratorConfig, y: Tensor): Style {
  const [N, H, W, C] = y.shape;
  const activation = 'relu';
  const flat = light ? camPool(y).gap : reshape(y, [N, H * W * C]);
  const blocks = p('FC.0.weight').map((block) => reshape(block, [block.shape[0], flat.shape[1]]));
  const h = linear(linear(flat, blocks, null, { activation }), one(p, 'FC.2.weight'), null, { activation });
  const gamma = linear(h, one(p, 'gamma.weight'), null);
  return { gamma, beta: linear(h, one(p, 'beta.weight'), null) };
}

function decode(p: Lookup, config: GeneratorConfig, y: Tensor, { gamma, beta }: Style): Tensor {
  const activation = 'relu';
  let x = y;
  for (let i = 1; i <= config.nRes; i++) {
    const block = `UpBlock1_${i}`;
    const [rho1, rho2] = [1, 2].map((j) => one(p, `${block}.norm${j}.rho`));
    const weights = [1, 2].map((j) => one(p, `${block}.conv${j}.weight`));
    const before = x;
    x = residual(config, [before, ...weights, rho1, rho2, gamma, beta], () => {
      const h = adailn(conv(p, `${block}.conv1`, before, { pad: 1 }), rho1, gamma, beta, { activation });
      return adailn(conv(p, `${block}.conv2`, h, { pad: 1 }), rho2, gamma, beta, { residual: before });
    });
  }
  for (const slot of [2, 7]) {
    const norm = (part: string) => one(p, `UpBlock2.${slot + 1}.${part}`);
    const h = conv(p, `UpBlock2.${slot}`, x, { pad: 1, upsample: 2 });
    x = iln(h, norm('rho'), norm('gamma'), norm('beta'), { activation });
  }
  return conv(p, 'UpBlock2.11', x, { pad: 3, activation: 'tanh' });
}

/**
 * Translates pictures [N,H,W,3] in [-1, 1] (U-GAT-IT's generator, arXiv 1907.10830, as the authors' PyTorch
 * code has it). Light takes any size that is a multiple of 4; full only its own.
 * @throws AdawnError for a size it cannot take.
 */
export function generator(p: Lookup, config: GeneratorConfig, picture: Tensor): Translation {
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
