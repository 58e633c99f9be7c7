import * as tf from '@tensorflow/tfjs';
import { BETAS, EPSILON, LEARNING_RATE, preparedStep, WEIGHT_DECAY, WEIGHTS } from '../../step.ts';
import { discriminator, generator } from './networks.mjs';

// U-GAT-IT's training iteration in TensorFlow.js. The tape of variableGrads ends with the function it
// differentiates, so G's step translates both pictures again. tf.train.adam has no weight decay: it is added
// to the gradients, as PyTorch does.

const GENERATORS = ['genA2B', 'genB2A'];
const DISCRIMINATORS = ['disGA', 'disGB', 'disLA', 'disLB'];

const mseTo = (x, target) => tf.mean(tf.square(tf.sub(x, target)));
const bceTo = (x, target) => tf.mean(tf.softplus(target === 1 ? tf.neg(x) : x));
const l1 = (x, y) => tf.mean(tf.abs(tf.sub(x, y)));
// tf.addN of 8 and more binds more buffers than the device was asked for, and gives zeros.
const sum = (terms) => terms.reduce((x, y) => tf.add(x, y));
const domainOf = (name) => name.at(-1);
const normalise = (x) => tf.div(x, tf.maximum(tf.norm(x), 1e-12));

/** Rows are outputs, as the power iteration wants them: weights are [H,W,I,O] or [O,I]. */
function matrixOf(w) {
  return w.shape.length === 4 ? tf.transpose(tf.reshape(w, [-1, w.shape[3]])) : w;
}

/**
 * One more step of the power iteration of every layer of a discriminator: { layer: { u, v } }. Outside of
 * what is differentiated: TensorFlow.js has no stopGradient.
 */
function advance(net, us) {
  const vectors = {};
  for (const [key, u] of Object.entries(us)) {
    const layer = key.slice(0, -'.weight_u'.length);
    const matrix = matrixOf(net[`${layer}.weight_orig`]);
    const v = normalise(tf.matMul(matrix, u, true));
    const next = normalise(tf.matMul(matrix, v));
    u.assign(next);
    vectors[layer] = { u: next, v };
  }
  return vectors;
}

/** A layer's weight over its largest singular value. */
function spectralWeight(w, { u, v }) {
  return tf.div(w, tf.sum(tf.mul(u, tf.matMul(matrixOf(w), v))));
}

/** The networks as variables: { parameters: { net: { name } }, us } */
function variables(inputs) {
  const parameters = {};
  const us = {};
  for (const net of [...GENERATORS, ...DISCRIMINATORS]) {
    parameters[net] = {};
    us[net] = {};
    for (const [full, value] of Object.entries(inputs)) {
      if (!full.startsWith(`${net}.`) || full.endsWith('.weight_v')) continue;
      const name = full.slice(net.length + 1);
      if (name.endsWith('.weight_u')) us[net][name] = tf.variable(tf.reshape(value, [-1, 1]), false);
      else parameters[net][name] = tf.variable(value);
    }
  }
  return { parameters, us };
}

const listOf = (parameters, nets) => nets.flatMap((net) => Object.values(parameters[net]));

const advanceAll = ({ parameters, us }) =>
  tf.tidy(() =>
    Object.fromEntries(DISCRIMINATORS.map((name) => [name, advance(parameters[name], us[name])])),
  );

function judge({ parameters, task }, name, vectors, picture) {
  const p = (key) => parameters[name][key];
  const spectral = (layer) => spectralWeight(p(`${layer}.weight_orig`), vectors[name][layer]);
  return discriminator(p, spectral, task.disLayers[name.startsWith('disG') ? 0 : 1], picture);
}

const adversarial = ({ logit, camLogit }, target) => tf.add(mseTo(logit, target), mseTo(camLogit, target));

const translate = ({ parameters, task }, net, picture) =>
  generator((key) => parameters[net][key], task.nRes, picture);

function discriminatorLoss(model, fake, forReal, forFake) {
  const real = { A: model.inputs.a, B: model.inputs.b };
  const terms = DISCRIMINATORS.flatMap((name) => [
    adversarial(judge(model, name, forReal, real[domainOf(name)]), 1),
    adversarial(judge(model, name, forFake, fake[domainOf(name)]), 0),
  ]);
  return sum(terms);
}

function generatorLoss(model, vectors) {
  const { a, b } = model.inputs;
  const [toA, toB] = ['genB2A', 'genA2B'].map((net) => (picture) => translate(model, net, picture));
  const fakes = { A: toA(b), B: toB(a) };
  const [cycleA, cycleB] = [toA(fakes.B.image), toB(fakes.A.image)];
  const [sameA, sameB] = [toA(a), toB(b)];
  const terms = DISCRIMINATORS.map((name) =>
    adversarial(judge(model, name, vectors, fakes[domainOf(name)].image), 1),
  );
  const cams = [fakes.A, fakes.B].map(({ camLogit }) => bceTo(camLogit, 1));
  cams.push(...[sameA, sameB].map(({ camLogit }) => bceTo(camLogit, 0)));
  return sum([
    ...terms,
    tf.mul(tf.add(l1(cycleA.image, a), l1(cycleB.image, b)), WEIGHTS.cycle),
    tf.mul(tf.add(l1(sameA.image, a), l1(sameB.image, b)), WEIGHTS.identity),
    tf.mul(sum(cams), WEIGHTS.cam),
  ]);
}

/** One optimiser's step; the loss, kept. */
function descend(optimiser, loss, list) {
  return tf.tidy(() => {
    const { value, grads } = tf.variableGrads(loss, list);
    const decayed = list.map((x) => ({
      name: x.name,
      tensor: tf.add(grads[x.name], tf.mul(x, WEIGHT_DECAY)),
    }));
    optimiser.applyGradients(decayed);
    return value;
  });
}

/** One iteration; the losses of both steps. */
function iterate(model, optimisers) {
  const { parameters, inputs } = model;
  const fake = tf.tidy(() => ({
    A: translate(model, 'genB2A', inputs.b).image,
    B: translate(model, 'genA2B', inputs.a).image,
  }));
  const [forReal, forFake] = [advanceAll(model), advanceAll(model)];
  const ofD = () => discriminatorLoss(model, fake, forReal, forFake);
  const d = descend(optimisers.d, ofD, listOf(parameters, DISCRIMINATORS));
  const again = advanceAll(model);
  const g = descend(optimisers.g, () => generatorLoss(model, again), listOf(parameters, GENERATORS));
  tf.dispose([fake, forReal, forFake, again]);
  tf.tidy(() => {
    for (const net of GENERATORS) {
      for (const [name, x] of Object.entries(parameters[net])) {
        if (name.endsWith('.rho')) x.assign(tf.clipByValue(x, 0, 1));
      }
    }
  });
  return [d, g];
}

export function openStep(task, inputs) {
  const model = { task, inputs, ...variables(inputs) };
  const adam = () => tf.train.adam(LEARNING_RATE, ...BETAS, EPSILON);
  const optimisers = { d: adam(), g: adam() };
  let losses = [];
  return preparedStep(task, {
    run() {
      tf.dispose(losses);
      losses = iterate(model, optimisers);
    },
    async losses() {
      const [[d], [g]] = await Promise.all(losses.map((loss) => loss.data()));
      return { 'D.loss': d, 'G.loss': g };
    },
    close() {
      for (const optimiser of Object.values(optimisers)) optimiser.dispose();
      tf.dispose([losses, inputs, model.parameters, model.us]);
    },
  });
}
