import * as tf from '@tensorflow/tfjs';
import { BETAS, EPSILON, LEARNING_RATE, lossTable, WEIGHT_DECAY, WEIGHTS } from '../../step.ts';
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

export function openStep(task, inputs) {
  const { parameters, us } = variables(inputs);
  const listOf = (nets) => nets.flatMap((net) => Object.values(parameters[net]));
  const [ofG, ofD] = [listOf(GENERATORS), listOf(DISCRIMINATORS)];
  const optimisers = [ofG, ofD].map(() => tf.train.adam(LEARNING_RATE, ...BETAS, EPSILON));
  const rhos = GENERATORS.flatMap((net) =>
    Object.entries(parameters[net]).flatMap(([name, x]) => (name.endsWith('.rho') ? [x] : [])),
  );

  const advanceAll = () =>
    tf.tidy(() =>
      Object.fromEntries(DISCRIMINATORS.map((name) => [name, advance(parameters[name], us[name])])),
    );

  function judge(name, vectors, picture) {
    const p = (key) => parameters[name][key];
    const spectral = (layer) => spectralWeight(p(`${layer}.weight_orig`), vectors[name][layer]);
    return discriminator(p, spectral, task.disLayers[name.startsWith('disG') ? 0 : 1], picture);
  }
  const adversarial = ({ logit, camLogit }, target) => tf.add(mseTo(logit, target), mseTo(camLogit, target));
  const translate = (net, picture) => generator((key) => parameters[net][key], task.nRes, picture);

  function discriminatorLoss(fake, forReal, forFake) {
    const real = { A: inputs.a, B: inputs.b };
    const terms = DISCRIMINATORS.flatMap((name) => [
      adversarial(judge(name, forReal, real[domainOf(name)]), 1),
      adversarial(judge(name, forFake, fake[domainOf(name)]), 0),
    ]);
    return sum(terms);
  }

  function generatorLoss(vectors) {
    const { a, b } = inputs;
    const fakes = { A: translate('genB2A', b), B: translate('genA2B', a) };
    const [cycleA, cycleB] = [translate('genB2A', fakes.B.image), translate('genA2B', fakes.A.image)];
    const [sameA, sameB] = [translate('genB2A', a), translate('genA2B', b)];
    const terms = DISCRIMINATORS.map((name) =>
      adversarial(judge(name, vectors, fakes[domainOf(name)].image), 1),
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

  let losses = [];
  function run() {
    tf.dispose(losses);
    const fake = tf.tidy(() => ({
      A: translate('genB2A', inputs.b).image,
      B: translate('genA2B', inputs.a).image,
    }));
    const vectors = [advanceAll(), advanceAll()];
    const d = descend(optimisers[1], () => discriminatorLoss(fake, ...vectors), ofD);
    vectors.push(advanceAll());
    const g = descend(optimisers[0], () => generatorLoss(vectors[2]), ofG);
    tf.dispose([fake, vectors]);
    tf.tidy(() => {
      for (const rho of rhos) rho.assign(tf.clipByValue(rho, 0, 1));
    });
    losses = [d, g];
  }
  async function lossesNow() {
    const [[d], [g]] = await Promise.all(losses.map((loss) => loss.data()));
    return { 'D.loss': d, 'G.loss': g };
  }
  return {
    run,
    async finish() {
      await lossesNow();
    },
    results: () =>
      lossTable(task, async () => {
        run();
        return lossesNow();
      }),
    close() {
      for (const optimiser of optimisers) optimiser.dispose();
      tf.dispose([losses, inputs, ofG, ofD, us]);
    },
  };
}
