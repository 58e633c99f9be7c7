import { gradients } from '../../engine/grad/autograd.ts';
import { concat, split } from '../../engine/ops/concat.ts';
import { bceWithLogitsToConstant, l1Loss, mseToConstantPair, type Target } from '../../engine/ops/loss.ts';
import { weightedSum } from '../../engine/ops/weightedSum.ts';
import { scalar } from '../../engine/record/constants.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { type Collection, clipRho, collect, collection, optimise } from '../optimise.ts';
import { scopeOf } from '../scope.ts';
import { discriminator, type Judgement } from './discriminator.ts';
import type { Translation } from './generator.ts';
import {
  DISCRIMINATORS,
  type Discriminator,
  GENERATORS,
  type Generator,
  layersOf,
  translate,
  type Ugatit,
} from './ugatit.ts';

/** Runs one discriminator inside a recording, in training mode: as often as there are calls in the batch. */
function judge(model: Ugatit, name: Discriminator, pictures: Tensor, calls: number): Judgement {
  const config = { ch: model.config.ch, layers: layersOf(model.config, name) };
  return discriminator(scopeOf(model.discriminators, name), config, pictures, { calls, update: true });
}

/** Named loss terms, unweighted as the authors name them. */
export type Losses = Record<string, Tensor>;

/** What one training iteration leaves: every loss term, and the pictures for whoever wants to look. */
export interface StepResult {
  readonly losses: Losses;
  readonly translations: Record<string, Translation>;
}

/** A step that is being recorded: its inputs, the gradients so far, and the terms. */
interface Iteration {
  readonly model: Ugatit;
  readonly real: Readonly<Record<Domain, Tensor>>;
  readonly hyper: Tensor;
  readonly g: Collection;
  readonly d: Collection;
  /** By name, in no order. */
  readonly losses: Losses;
  readonly translations: Record<string, Translation>;
}

type Domain = 'A' | 'B';

/** From one domain to the other: the generator that goes there, and the one that goes back. */
interface Direction {
  readonly from: Domain;
  readonly to: Domain;
  readonly there: Generator;
  readonly back: Generator;
}

const DIRECTIONS: readonly Direction[] = [
  { from: 'A', to: 'B', there: 'genA2B', back: 'genB2A' },
  { from: 'B', to: 'A', there: 'genB2A', back: 'genA2B' },
];

const ONE = () => [scalar(1)];

/** A judgement's least-squares losses toward `target` (one for each call): patches and attention. */
function adversarial(judgement: Judgement, target: Target): Record<'ad' | 'cam', Tensor> {
  const [ad, cam] = mseToConstantPair(judgement.logit, judgement.camLogit, target);
  return { ad, cam };
}

/** Loss terms with one weight. */
function adversarialLoss({ config }: Ugatit, { ad, cam }: Record<'ad' | 'cam', Tensor>): Tensor {
  return weightedSum([ad, cam], [config.advWeight, config.advWeight]);
}

/** Domain a discriminator judges: its name's last letter. */
const domainOf = (name: Discriminator) => name[4] as Domain;

/**
 * The whole D step of one discriminator: its losses, their gradients, and Adam.
 * @param realAndFake one behind the other in the batch, in the authors' order
 */
function discriminatorStep(it: Iteration, name: Discriminator, realAndFake: Tensor): void {
  const { model, d, losses, hyper } = it;
  const terms = adversarial(judge(model, name, realAndFake, 2), [1, 0]);
  losses[`D.${name}.ad_loss`] = terms.ad;
  losses[`D.${name}.cam_loss`] = terms.cam;
  collect(d, name, [[adversarialLoss(model, terms)], ONE()]);
  optimise(d, [name], hyper, model.config.weightDecay);
}

/** What the trained discriminator says of a fake, as a loss of the generator; the gradient by the picture. */
function persuade({ model, losses }: Iteration, name: Discriminator, fake: Tensor): Tensor {
  const terms = adversarial(judge(model, name, fake, 1), 1);
  losses[`G.${name}.ad_loss`] = terms.ad;
  losses[`G.${name}.cam_loss`] = terms.cam;
  return gradients(adversarialLoss(model, terms), [fake])[0];
}

/** There and back again: the cycle loss, its gradients, and the one by the picture in the middle. */
function cycle(it: Iteration, { from, to, back }: Direction, fake: Tensor): Tensor {
  const { model, real, g, losses, translations } = it;
  const again = translate(model, back, fake);
  translations[`fake_${from}2${to}2${from}`] = again;
  const loss = l1Loss(again.image, real[from]);
  losses[`G.recon_${from}`] = loss;
  return collect(g, back, [[weightedSum([loss], [model.config.cycleWeight])], ONE()], [fake])[0];
}

/** Everything that hangs on the fakes of one domain, down to gradients: discriminators, cycle, generator. */
function oneDirection(it: Iteration, direction: Direction): void {
  const { model, real, g, losses, translations } = it;
  const { from, to, there } = direction;
  const { identityWeight, camWeight } = model.config;
  const { fake, same, camLogit } = translatePair(model, there, real[from], real[to]);
  translations[`fake_${from}2${to}`] = fake;
  translations[`fake_${to}2${to}`] = same;
  const downhill: Tensor[] = [];
  const realAndFake = concat([real[to], fake.image], 0);
  for (const name of DISCRIMINATORS.filter((n) => domainOf(n) === to)) {
    discriminatorStep(it, name, realAndFake);
    downhill.push(persuade(it, name, fake.image));
  }
  downhill.push(cycle(it, direction, fake.image));
  const identity = l1Loss(same.image, real[to]);
  // The attention must tell pictures that are to change from those that are there already.
  const cam = bceWithLogitsToConstant(camLogit, [1, 0]);
  losses[`G.identity_${to}`] = identity;
  losses[`G.cam_${to}`] = cam;
  const own = weightedSum([identity, cam], [identityWeight, camWeight]);
  collect(g, there, [
    [own, ...downhill.map(() => fake.image)],
    [...ONE(), ...downhill],
  ]);
}

/** The terms in the order of the authors' log, with both totals. */
function totals({ config }: Ugatit, terms: Losses): Losses {
  const named = (side: string) =>
    DISCRIMINATORS.flatMap((name) => [`${side}.${name}.ad_loss`, `${side}.${name}.cam_loss`]);
  const own = ['recon', 'identity', 'cam'].flatMap((kind) => [`G.${kind}_A`, `G.${kind}_B`]);
  const { advWeight, cycleWeight, identityWeight, camWeight } = config;
  const ownWeights = [cycleWeight, identityWeight, camWeight].flatMap((w) => [w, w]);
  const [d, g] = [named('D'), named('G')];
  const list = (names: string[]) => names.map((name) => terms[name]);
  const adversarialWeights = (names: string[]) => names.map(() => advWeight);
  const pick = (names: string[]) => Object.fromEntries(names.map((name) => [name, terms[name]]));
  return {
    ...pick(d),
    'D.loss': weightedSum(list(d), adversarialWeights(d)),
    'G.loss': weightedSum(list([...own, ...g]), [...ownWeights, ...adversarialWeights(g)]),
    ...pick([...own, ...g]),
  };
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
 * @param hyper Adam's numbers of this iteration (`adamHyper`), the same for both optimisers
 */
export function trainingStep(model: Ugatit, a: Tensor, b: Tensor, hyper: Tensor): StepResult {
  const it: Iteration = {
    model,
    real: { A: a, B: b },
    hyper,
    g: collection(model.generators, model.gradients.g, model.health),
    d: collection(model.discriminators, model.gradients.d, model.health),
    losses: {},
    translations: {},
  };
  for (const direction of DIRECTIONS) oneDirection(it, direction);
  optimise(it.g, GENERATORS, hyper, model.config.weightDecay);
  clipRho(model.generators);
  return { losses: totals(model, it.losses), translations: it.translations };
}

/** What a generator makes of pictures to change and of pictures that are there already. */
interface Pair {
  readonly fake: Translation;
  readonly same: Translation;
  /** Of both. */
  readonly camLogit: Tensor;
}

/**
 * Two batches through one generator at once: its layers treat every picture by itself, so nothing changes.
 */
function translatePair(model: Ugatit, name: Generator, x: Tensor, y: Tensor): Pair {
  const both = translate(model, name, concat([x, y], 0));
  const halves = [x.shape[0], y.shape[0]];
  const image = split(both.image, 0, halves);
  const camLogit = split(both.camLogit, 0, halves);
  const heatmap = split(both.heatmap, 0, halves);
  const [fake, same] = [0, 1].map((i) => ({ image: image[i], camLogit: camLogit[i], heatmap: heatmap[i] }));
  return { fake, same, camLogit: both.camLogit };
}
