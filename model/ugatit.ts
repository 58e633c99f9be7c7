import type { Device } from '../engine/device.ts';
import { AdawnError } from '../engine/errors.ts';
import { concat, split } from '../engine/ops/concat.ts';
import { bceWithLogitsToConstant, l1Loss, mseToConstant } from '../engine/ops/loss.ts';
import { weightedSum } from '../engine/ops/weightedSum.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkDiscriminator, discriminator, discriminatorSpecs, type Judgement } from './discriminator.ts';
import { generator, generatorSpecs, type Translation } from './generator.ts';
import { allocateEnsemble, clipRho, type Ensemble, freeEnsemble, lookup, optimise } from './network.ts';
import { allocateGroup, freeGroup, type ParameterGroup, type ParameterSpec } from './parameters.ts';

/** U-GAT-IT's options; names and defaults are the authors' (their `main.py`). */
export interface UgatitConfig {
  readonly light: boolean;
  readonly size: number;
  readonly ch: number;
  readonly nRes: number;
  readonly batch: number;
  /** Layers of the global and the local discriminators. */
  readonly disLayers: readonly [number, number];
  readonly weightDecay: number;
  readonly advWeight: number;
  readonly cycleWeight: number;
  readonly identityWeight: number;
  readonly camWeight: number;
}

export const DEFAULTS: UgatitConfig = {
  light: true,
  size: 256,
  ch: 64,
  nRes: 4,
  batch: 1,
  disLayers: [7, 5],
  weightDecay: 1e-4,
  advWeight: 1,
  cycleWeight: 10,
  identityWeight: 10,
  camWeight: 1000,
};

export const GENERATORS = ['genA2B', 'genB2A'] as const;
export const DISCRIMINATORS = ['disGA', 'disGB', 'disLA', 'disLB'] as const;
type Generator = (typeof GENERATORS)[number];
type Discriminator = (typeof DISCRIMINATORS)[number];

/** Throws one sentence for a configuration that cannot work. @throws AdawnError */
export function checkConfig(config: UgatitConfig): void {
  const whole = { size: config.size, ch: config.ch, 'n-res': config.nRes, batch: config.batch };
  for (const [name, value] of Object.entries(whole)) {
    const least = name === 'n-res' ? 0 : 1;
    if (!Number.isInteger(value) || value < least) {
      throw new AdawnError(`--${name} must be a whole number of at least ${least}, got ${value}`);
    }
  }
  if (config.size % 4 !== 0) {
    const near = Math.max(4, Math.round(config.size / 4) * 4);
    throw new AdawnError(`--size must be a multiple of 4, got ${config.size}: use --size ${near}`);
  }
  for (const layers of config.disLayers) checkDiscriminator(layers, config.size);
}

/** Layers of a discriminator by its name: `G` is global, `L` is local. */
function layersOf(config: UgatitConfig, name: Discriminator): number {
  return config.disLayers[name.startsWith('disG') ? 0 : 1];
}

/** The six networks on the GPU, with what training them needs. */
export interface Ugatit {
  readonly device: Device;
  readonly config: UgatitConfig;
  readonly generators: Ensemble;
  readonly discriminators: Ensemble;
  /** Gradients of each ensemble, in the flat order Adam reads. */
  readonly gradients: { readonly g: ParameterGroup; readonly d: ParameterGroup };
}

/** Every tensor of a network, by the network's name. */
export function networkSpecs(
  config: UgatitConfig,
  name: Generator | Discriminator,
  maxBinding: number,
): ParameterSpec[] {
  if (name === 'genA2B' || name === 'genB2A') return generatorSpecs(config, maxBinding);
  return discriminatorSpecs({ ch: config.ch, layers: layersOf(config, name) });
}

/**
 * Allocates the six networks, their optimisers and gradients; values are undefined until `initialise`.
 * @throws AdawnError for an impossible configuration, DeviceError when it does not fit.
 */
export function createUgatit(device: Device, config: UgatitConfig): Ugatit {
  checkConfig(config);
  const specs = (names: readonly (Generator | Discriminator)[]) =>
    new Map(names.map((name) => [name, networkSpecs(config, name, device.maxBinding)]));
  const generators = allocateEnsemble(device, specs(GENERATORS), 'generators', true);
  const discriminators = allocateEnsemble(device, specs(DISCRIMINATORS), 'discriminators', true);
  const gradients = {
    g: allocateGroup(device, generators.parameters.specs, 'generator gradients'),
    d: allocateGroup(device, discriminators.parameters.specs, 'discriminator gradients'),
  };
  return { device, config, generators, discriminators, gradients };
}

/** Returns the model's memory to the pool. */
export function freeUgatit({ device, generators, discriminators, gradients }: Ugatit): void {
  freeEnsemble(device, generators);
  freeEnsemble(device, discriminators);
  freeGroup(device, gradients.g);
  freeGroup(device, gradients.d);
}

/** Runs one generator inside a recording. */
export function translate(model: Ugatit, name: Generator, picture: Tensor): Translation {
  return generator(lookup(model.generators, name), model.config, picture);
}

/** Runs one discriminator inside a recording, in training mode. */
function judge(model: Ugatit, name: Discriminator, picture: Tensor): Judgement {
  const config = { ch: model.config.ch, layers: layersOf(model.config, name) };
  return discriminator(lookup(model.discriminators, name), config, picture, true);
}

/** Named loss terms, unweighted as the authors name them. */
export type Losses = Record<string, Tensor>;

/** What one training iteration leaves: every loss term, and the pictures for whoever wants to look. */
export interface StepResult {
  readonly losses: Losses;
  readonly translations: Record<string, Translation>;
}

/** Everything a generator makes of a training batch. */
type Pictures = Record<
  'fake_A2B' | 'fake_B2A' | 'fake_A2B2A' | 'fake_B2A2B' | 'fake_A2A' | 'fake_B2B',
  Translation
>;

/** The four judgements' least-squares losses toward `target`, per discriminator: patches and attention. */
function adversarial(judgement: Judgement, target: number): { ad: Tensor; cam: Tensor } {
  return { ad: mseToConstant(judgement.logit, target), cam: mseToConstant(judgement.camLogit, target) };
}

/** Domain a discriminator judges: its name's last letter. */
const domainOf = (name: Discriminator) => name[4] as 'A' | 'B';

function discriminatorStep(
  model: Ugatit,
  real: Record<'A' | 'B', Tensor>,
  fake: Record<'A' | 'B', Tensor>,
  hyper: Tensor,
): Losses {
  const losses: Losses = {};
  const terms: Tensor[] = [];
  const ofReal = DISCRIMINATORS.map((name) => adversarial(judge(model, name, real[domainOf(name)]), 1));
  const ofFake = DISCRIMINATORS.map((name) => adversarial(judge(model, name, fake[domainOf(name)]), 0));
  DISCRIMINATORS.forEach((name, i) => {
    for (const kind of ['ad', 'cam'] as const) {
      const term = weightedSum([ofReal[i][kind], ofFake[i][kind]], [1, 1]);
      losses[`D.${name}.${kind}_loss`] = term;
      terms.push(term);
    }
  });
  const total = weightedSum(
    terms,
    terms.map(() => model.config.advWeight),
  );
  losses['D.loss'] = total;
  optimise(model.discriminators, model.gradients.d, total, hyper, model.config.weightDecay);
  return losses;
}

/** Generator losses that need no discriminator: cycle, identity and attention, with their weights. */
function ownLosses({ config }: Ugatit, a: Tensor, b: Tensor, p: Pictures): [string, Tensor, number][] {
  const cam = (own: Translation, other: Translation) =>
    weightedSum(
      [bceWithLogitsToConstant(own.camLogit, 1), bceWithLogitsToConstant(other.camLogit, 0)],
      [1, 1],
    );
  return [
    ['recon_A', l1Loss(p.fake_A2B2A.image, a), config.cycleWeight],
    ['recon_B', l1Loss(p.fake_B2A2B.image, b), config.cycleWeight],
    ['identity_A', l1Loss(p.fake_A2A.image, a), config.identityWeight],
    ['identity_B', l1Loss(p.fake_B2B.image, b), config.identityWeight],
    ['cam_A', cam(p.fake_B2A, p.fake_A2A), config.camWeight],
    ['cam_B', cam(p.fake_A2B, p.fake_B2B), config.camWeight],
  ];
}

function generatorStep(model: Ugatit, a: Tensor, b: Tensor, pictures: Pictures, hyper: Tensor): Losses {
  const fake = { A: pictures.fake_B2A.image, B: pictures.fake_A2B.image };
  const terms = ownLosses(model, a, b, pictures);
  for (const name of DISCRIMINATORS) {
    const { ad, cam } = adversarial(judge(model, name, fake[domainOf(name)]), 1);
    terms.push([`${name}.ad_loss`, ad, model.config.advWeight]);
    terms.push([`${name}.cam_loss`, cam, model.config.advWeight]);
  }
  const total = weightedSum(
    terms.map(([, term]) => term),
    terms.map(([, , weight]) => weight),
  );
  optimise(model.generators, model.gradients.g, total, hyper, model.config.weightDecay);
  clipRho(model.generators);
  const losses: Losses = { 'G.loss': total };
  for (const [name, term] of terms) losses[`G.${name}`] = term;
  return losses;
}

/**
 * Records the authors' training iteration: the D step, then the G step. Numerically theirs, with less work:
 * G does not change between the steps, so both use one translation of each picture, and each generator takes
 * its translation and its identity picture as one batch; the D step never enters
 * G (`gradients` walks toward D's parameters only), and the G step computes no gradients of D's weights.
 * @param hyper Adam's numbers of this iteration (`adamHyper`), the same for both optimisers
 */
export function trainingStep(model: Ugatit, a: Tensor, b: Tensor, hyper: Tensor): StepResult {
  const [fakeB, sameB] = translatePair(model, 'genA2B', a, b);
  const [fakeA, sameA] = translatePair(model, 'genB2A', b, a);
  const d = discriminatorStep(model, { A: a, B: b }, { A: fakeA.image, B: fakeB.image }, hyper);
  const pictures: Pictures = {
    fake_A2B: fakeB,
    fake_B2A: fakeA,
    fake_A2B2A: translate(model, 'genB2A', fakeB.image),
    fake_B2A2B: translate(model, 'genA2B', fakeA.image),
    fake_A2A: sameA,
    fake_B2B: sameB,
  };
  const g = generatorStep(model, a, b, pictures, hyper);
  return { losses: { ...d, ...g }, translations: pictures };
}

/**
 * Two batches through one generator at once: its layers treat every picture by itself, so nothing changes.
 */
function translatePair(model: Ugatit, name: Generator, x: Tensor, y: Tensor): [Translation, Translation] {
  const both = translate(model, name, concat([x, y], 0));
  const halves = [x.shape[0], y.shape[0]];
  const image = split(both.image, 0, halves);
  const camLogit = split(both.camLogit, 0, halves);
  const heatmap = split(both.heatmap, 0, halves);
  return [0, 1].map((i) => ({ image: image[i], camLogit: camLogit[i], heatmap: heatmap[i] })) as [
    Translation,
    Translation,
  ];
}
