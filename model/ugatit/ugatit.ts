import {
  bceWithLogitsToConstant,
  concat,
  gradients,
  l1Loss,
  mseToConstantPair,
  scalar,
  split,
  type Target,
  type Tensor,
  weightedSum,
} from '../../engine/index.ts';
import { type Domain, defaultsOf, type Losses, type NetworkSpec, type Recipe, type Step } from '../recipe.ts';
import { DISCRIMINATORS, files, GENERATORS } from './files.ts';
import {
  checkDiscriminator,
  discriminator,
  discriminatorSpecs,
  generator,
  generatorSpecs,
  type Judgement,
  type Translation,
} from './networks.ts';

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
  /**
   * Compute the generators' residual blocks once more on the way back instead of keeping what is in them.
   * Changes memory and time, but no number. Absent (as in files of older versions): no.
   */
  readonly checkpointActivations?: boolean;
}

export type Generator = (typeof GENERATORS)[number];
export type Discriminator = (typeof DISCRIMINATORS)[number];

/** Layers of a discriminator by its name: `G` is global, `L` is local. */
const layersOf = ({ disLayers }: UgatitConfig, name: string) => disLayers[name.startsWith('disG') ? 0 : 1];

/** Domain a discriminator judges: its name's last letter. */
const domainOf = (name: Discriminator) => name[4] as Domain;

const ONE = () => [scalar(1)];

/** A step that is being recorded, and the terms so far, by name, in no order. */
interface Iteration {
  readonly step: Step<UgatitConfig>;
  readonly losses: Record<string, Tensor>;
}

/** Runs one discriminator in training mode: as often as there are calls in the batch. */
function judge({ step }: Iteration, name: Discriminator, pictures: Tensor, calls: number): Judgement {
  const config = { ch: step.options.ch, layers: layersOf(step.options, name) };
  return discriminator(step.scope(name), config, pictures, { calls, update: true });
}

/**
 * A judgement's least-squares losses toward `target` (one for each call): patches and attention, weighted.
 */
function adversarial(
  it: Iteration,
  side: 'D' | 'G',
  name: string,
  judgement: Judgement,
  target: Target,
): Tensor {
  const [ad, cam] = mseToConstantPair(judgement.logit, judgement.camLogit, target);
  it.losses[`${side}.${name}.ad_loss`] = ad;
  it.losses[`${side}.${name}.cam_loss`] = cam;
  const { advWeight } = it.step.options;
  return weightedSum([ad, cam], [advWeight, advWeight]);
}

/**
 * The whole D step of one discriminator: its losses, their gradients, and Adam.
 * @param realAndFake one behind the other in the batch, in the authors' order
 */
function discriminatorStep(it: Iteration, name: Discriminator, realAndFake: Tensor): void {
  const loss = adversarial(it, 'D', name, judge(it, name, realAndFake, 2), [1, 0]);
  it.step.collect(name, [[loss], ONE()]);
  it.step.update([name]);
}

/** What the trained discriminator says of a fake, as a loss of the generator; the gradient by the picture. */
function persuade(it: Iteration, name: Discriminator, fake: Tensor): Tensor {
  return gradients(adversarial(it, 'G', name, judge(it, name, fake, 1), 1), [fake])[0];
}

/** There and back again: the cycle loss, its gradients, and the one by the picture in the middle. */
function cycle({ step, losses }: Iteration, from: Domain, back: Generator, fake: Tensor): Tensor {
  const again = generator(step.scope(back), step.options, fake);
  const loss = l1Loss(again.image, step.real[from]);
  losses[`G.recon_${from}`] = loss;
  return step.collect(back, [[weightedSum([loss], [step.options.cycleWeight])], ONE()], [fake])[0];
}

/** What a generator makes of pictures to change and of pictures that are there already, as one batch. */
function translatePair({ step }: Iteration, name: Generator, x: Tensor, y: Tensor) {
  // Its layers treat every picture by itself, so nothing changes.
  const { image, camLogit } = generator(step.scope(name), step.options, concat([x, y], 0));
  const [fake, same] = split(image, 0, [x.shape[0], y.shape[0]]);
  return { fake, same, camLogit };
}

/** Everything that hangs on the fakes of one domain, down to gradients: discriminators, cycle, generator. */
function oneDirection(it: Iteration, [from, to]: readonly [Domain, Domain]): void {
  const { step, losses } = it;
  const [there, back] = from === 'A' ? GENERATORS : [GENERATORS[1], GENERATORS[0]];
  const { identityWeight, camWeight } = step.options;
  const { fake, same, camLogit } = translatePair(it, there, step.real[from], step.real[to]);
  const downhill: Tensor[] = [];
  const realAndFake = concat([step.real[to], fake], 0);
  for (const name of DISCRIMINATORS.filter((n) => domainOf(n) === to)) {
    discriminatorStep(it, name, realAndFake);
    downhill.push(persuade(it, name, fake));
  }
  downhill.push(cycle(it, from, back, fake));
  const identity = l1Loss(same, step.real[to]);
  // The attention must tell pictures that are to change from those that are there already.
  const cam = bceWithLogitsToConstant(camLogit, [1, 0]);
  losses[`G.identity_${to}`] = identity;
  losses[`G.cam_${to}`] = cam;
  const own = weightedSum([identity, cam], [identityWeight, camWeight]);
  step.collect(there, [
    [own, ...downhill.map(() => fake)],
    [...ONE(), ...downhill],
  ]);
}

/** The terms in the order of the authors' log, with both totals. */
function totals({ step, losses }: Iteration): Losses {
  const named = (side: string) =>
    DISCRIMINATORS.flatMap((name) => [`${side}.${name}.ad_loss`, `${side}.${name}.cam_loss`]);
  const own = ['recon', 'identity', 'cam'].flatMap((kind) => [`G.${kind}_A`, `G.${kind}_B`]);
  const { advWeight, cycleWeight, identityWeight, camWeight } = step.options;
  const ownWeights = [cycleWeight, identityWeight, camWeight].flatMap((w) => [w, w]);
  const [d, g] = [named('D'), named('G')];
  const list = (names: string[]) => names.map((name) => losses[name]);
  const adversarialWeights = (names: string[]) => names.map(() => advWeight);
  const pick = (names: string[]) => Object.fromEntries(names.map((name) => [name, losses[name]]));
  const all = {
    ...pick(d),
    'D.loss': weightedSum(list(d), adversarialWeights(d)),
    'G.loss': weightedSum(list([...own, ...g]), [...ownWeights, ...adversarialWeights(g)]),
    ...pick([...own, ...g]),
  };
  return { all, totals: ['D.loss', 'G.loss'] };
}

/**
 * Records the authors' training iteration: the D step, then the G step. Numerically theirs, with less work:
 * G does not change between the steps, so both use one translation of each picture, and each generator takes
 * its translation and its identity picture as one batch, each discriminator real and fake pictures; the D
 * step never enters G (gradients are asked for by D's parameters only), and the G step computes no gradients
 * of D's weights.
 *
 * And with less memory: what depends on what allows to finish one direction before the other, one
 * discriminator before the next (a discriminator's step needs nothing of the others), and a cycle before its
 * translation, each with its way back. So no more than one translation and one cycle, or one discriminator,
 * wait for their gradients at any time.
 */
function step(step: Step<UgatitConfig>): Losses {
  const it: Iteration = { step, losses: {} };
  oneDirection(it, ['A', 'B']);
  oneDirection(it, ['B', 'A']);
  step.update(GENERATORS);
  return totals(it);
}

function networks(options: UgatitConfig): Record<string, NetworkSpec> {
  const generatorOf = { optimiser: 'G', specs: (most: number) => generatorSpecs(options, most) };
  const judgeOf = (name: string) => ({
    optimiser: 'D',
    specs: (most: number) => discriminatorSpecs({ ch: options.ch, layers: layersOf(options, name) }, most),
  });
  return Object.fromEntries([
    ...GENERATORS.map((name) => [name, generatorOf]),
    ...DISCRIMINATORS.map((name) => [name, judgeOf(name)]),
  ]);
}

/** U-GAT-IT (Kim, Kim, Kang and Lee, arXiv 1907.10830), as the authors' PyTorch code has it. */
export const ugatit: Recipe<UgatitConfig> = {
  name: 'ugatit',
  title: 'U-GAT-IT',
  options: {
    light: {
      default: true,
      takes: 'switch',
      help: 'the smaller generator',
      opposite: { name: 'full', help: 'the full generator (1 GiB more weights at 256)' },
      lowersMemory: [true],
    },
    size: {
      default: 256,
      takes: 'whole',
      multiple: 4,
      help: 'side of the pictures',
      lowersMemory: [1024, 768, 512, 384, 256, 192, 128, 96],
    },
    ch: { default: 64, takes: 'whole', help: 'base channels', lowersMemory: [64, 48, 32, 16] },
    nRes: { default: 4, takes: 'whole', least: 0, help: 'residual blocks a side' },
    batch: {
      group: 'Training',
      default: 1,
      takes: 'whole',
      help: 'pictures a step and domain',
      lowersMemory: [1],
    },
    disLayers: {
      default: [7, 5],
      takes: 'wholes',
      help: 'layers of the global and local discriminators (fewer for pictures below 96)',
    },
    weightDecay: { group: 'Training', default: 1e-4, takes: 'number', help: 'of Adam' },
    advWeight: { group: 'Training', default: 1, takes: 'number', help: 'of the GAN loss' },
    cycleWeight: { group: 'Training', default: 10, takes: 'number', help: 'of cycle loss' },
    identityWeight: { group: 'Training', default: 10, takes: 'number', help: 'of identity' },
    camWeight: { group: 'Training', default: 1000, takes: 'number', help: 'of attention' },
    checkpointActivations: {
      group: 'Training',
      default: false,
      takes: 'switch',
      help: 'less GPU memory for more time: residual blocks are computed twice; the same numbers',
      mayChange: true,
      lowersMemory: [true],
    },
  },
  check({ size, disLayers }) {
    for (const layers of disLayers) checkDiscriminator(layers, size);
  },
  describe: ({ light, size, ch, batch }) =>
    `${light ? 'light' : 'full'} ${size}x${size}, ch ${ch}, batch ${batch}`,
  networks,
  optimisers: ({ weightDecay }) => ({ G: { weightDecay }, D: { weightDecay } }),
  step,
  ways: {
    A2B: { from: 'A', to: 'B', network: 'genA2B', back: 'genB2A' },
    B2A: { from: 'B', to: 'A', network: 'genB2A', back: 'genA2B' },
  },
  translate: (p, x, options): Translation => generator(p, options, x),
  files,
};

export const DEFAULTS: UgatitConfig = defaultsOf(ugatit);
