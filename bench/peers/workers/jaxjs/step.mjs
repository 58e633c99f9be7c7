import { jit, lax, nn, numpy as np, tree, valueAndGrad, vjp } from '@jax-js/jax';
import { BETAS, EPSILON, LEARNING_RATE, preparedStep, WEIGHT_DECAY, WEIGHTS } from '../../step.ts';
import { discriminator, generator } from './networks.mjs';

// U-GAT-IT's training iteration in jax-js: one function under jit. Each translation is computed once and
// serves both steps, through vjp: the generators do not change between them.

const GENERATORS = ['genA2B', 'genB2A'];
const DISCRIMINATORS = ['disGA', 'disGB', 'disLA', 'disLB'];

const mseTo = (x, target) => np.mean(np.square(x.sub(target)));
const bceTo = (x, target) => np.mean(nn.softplus(target === 1 ? x.neg() : x));
const l1 = (x, y) => np.mean(np.abs(x.sub(y)));
const sum = (terms) => terms.reduce((a, b) => a.add(b));
const domainOf = (name) => name.at(-1);

const normalise = (x) => x.ref.div(np.maximum(np.sqrt(np.square(x).sum()), 1e-12));

/** A layer's weight over its largest singular value, by one more step of the power iteration from `u`. */
function spectralWeight(w, u) {
  const matrix = w.ref.reshape([w.shape[0], -1]);
  const fixed = lax.stopGradient(matrix.ref);
  const v = normalise(np.matmul(u.reshape([1, -1]), fixed.ref));
  const next = normalise(np.matmul(v.ref, np.transpose(fixed)));
  const sigma = np.matmul(v, np.transpose(matrix)).mul(next.ref).sum();
  return { weight: w.div(sigma), u: next.reshape([-1]) };
}

/** What a discriminator says of a picture, and its next vectors u. */
function judge(net, us, layers, picture) {
  const next = {};
  const p = (name) => net[name].ref;
  const spectral = (layer) => {
    const key = `${layer}.weight_u`;
    const { weight, u } = spectralWeight(p(`${layer}.weight_orig`), us[key]);
    next[key] = u;
    return weight;
  };
  return { ...discriminator(p, spectral, layers, picture), us: next };
}

const layersOf = ({ disLayers }, name) => disLayers[name.startsWith('disG') ? 0 : 1];

const adversarial = ({ logit, camLogit }, target) => mseTo(logit, target).add(mseTo(camLogit, target));

/** D's loss and the next vectors u. `pictures`: { real: { A, B }, fake: { A, B } }. */
function discriminatorLoss(task, d, us, { real, fake }) {
  const next = {};
  const terms = DISCRIMINATORS.map((name) => {
    const layers = layersOf(task, name);
    const ofReal = judge(d[name], us[name], layers, real[domainOf(name)].ref);
    const ofFake = judge(d[name], ofReal.us, layers, fake[domainOf(name)].ref);
    next[name] = ofFake.us;
    return adversarial(ofReal, 1).add(adversarial(ofFake, 0));
  });
  tree.dispose(d);
  tree.dispose([real, fake]);
  return [sum(terms), next];
}

function translate({ nRes }, net, picture) {
  return generator((name) => net[name].ref, nRes, picture);
}

/** G's loss and the next vectors u. `fakes`: the translations { A, B } of the pictures { A, B }. */
function generatorLoss(task, g, fakes, d, us, { a, b }) {
  const cycleA = translate(task, g.genB2A, fakes.B.image.ref);
  const cycleB = translate(task, g.genA2B, fakes.A.image.ref);
  const sameA = translate(task, g.genB2A, a.ref);
  const sameB = translate(task, g.genA2B, b.ref);
  tree.dispose([cycleA.camLogit, cycleB.camLogit]);
  const next = {};
  const terms = DISCRIMINATORS.map((name) => {
    const judged = judge(d[name], us[name], layersOf(task, name), fakes[domainOf(name)].image.ref);
    next[name] = judged.us;
    return adversarial(judged, 1);
  });
  const cam = bceTo(fakes.A.camLogit, 1).add(bceTo(sameA.camLogit, 0));
  const otherCam = bceTo(fakes.B.camLogit, 1).add(bceTo(sameB.camLogit, 0));
  terms.push(l1(cycleA.image, a.ref).add(l1(cycleB.image, b.ref)).mul(WEIGHTS.cycle));
  terms.push(l1(sameA.image, a).add(l1(sameB.image, b)).mul(WEIGHTS.identity));
  terms.push(cam.add(otherCam).mul(WEIGHTS.cam));
  tree.dispose([g, d, fakes.A.image, fakes.B.image]);
  return [sum(terms), next];
}

/** One parameter's Adam step; `corrections` are the bias corrections of both moments. */
function adam(p, grad, m, v, corrections) {
  const g = grad.add(p.ref.mul(WEIGHT_DECAY));
  const m1 = m.mul(BETAS[0]).add(g.ref.mul(1 - BETAS[0]));
  const v1 = v.mul(BETAS[1]).add(np.square(g).mul(1 - BETAS[1]));
  const [c1, c2] = [corrections.ref.slice(0), corrections.slice(1)];
  const step = m1.ref.div(c1).div(np.sqrt(v1.ref.div(c2)).add(EPSILON));
  return { p: p.sub(step.mul(LEARNING_RATE)), m: m1, v: v1 };
}

/** Adam over a tree { net: { name: array } }; every rho back into [0, 1]. */
function optimise({ p, m, v }, grads, corrections) {
  const next = { p: {}, m: {}, v: {} };
  for (const net of Object.keys(p)) {
    for (const part of ['p', 'm', 'v']) next[part][net] = {};
    for (const name of Object.keys(p[net])) {
      const one = adam(p[net][name], grads[net][name], m[net][name], v[net][name], corrections.ref);
      if (name.endsWith('.rho')) one.p = np.clip(one.p, 0, 1);
      for (const part of ['p', 'm', 'v']) next[part][net][name] = one[part];
    }
  }
  corrections.dispose();
  return next;
}

const add = (x, y) => tree.map((a, b) => a.add(b), x, y);

/** The iteration: { g, d, us } and pictures to the next { g, d, us } and both losses. */
function iteration(task, { g, d, us }, { a, b }, corrections) {
  const translateBoth = (nets, pictures) => {
    const [A, B] = [translate(task, nets.genB2A, pictures.b), translate(task, nets.genA2B, pictures.a)];
    tree.dispose(nets);
    return { A, B };
  };
  const pictures = { a: a.ref, b: b.ref };
  const [fakes, back] = vjp((nets) => translateBoth(nets, pictures), [tree.ref(g.p)]);
  const images = { real: { A: a.ref, B: b.ref }, fake: { A: fakes.A.image.ref, B: fakes.B.image.ref } };
  const ofD = (nets) => discriminatorLoss(task, nets, us, images);
  const [[lossD, usD], gradsD] = valueAndGrad(ofD, { hasAux: true })(tree.ref(d.p));
  const nextD = optimise(d, gradsD, corrections.ref);
  const ofG = (nets, passes) => generatorLoss(task, nets, passes, tree.ref(nextD.p), usD, { a, b });
  const both = valueAndGrad(ofG, { argnums: [0, 1], hasAux: true });
  const [[lossG, usG], [own, through]] = both(tree.ref(g.p), fakes);
  const [throughFakes] = back(through);
  back.dispose();
  const nextG = optimise(g, add(own, throughFakes), corrections);
  return { state: { g: nextG, d: nextD, us: usG }, losses: np.stack([lossD, lossG]) };
}

/** Parameters of the named networks, as { net: { name: array } }; `keep` says which. */
function netsOf(inputs, names, keep) {
  const entries = (net) =>
    Object.entries(inputs).filter(([name]) => name.startsWith(`${net}.`) && keep(name));
  const of = (net) => Object.fromEntries(entries(net).map(([name, x]) => [name.slice(net.length + 1), x]));
  return Object.fromEntries(names.map((net) => [net, of(net)]));
}

/** rho, gamma and beta of norms as they come, [1,C,1,1], broadcast over pictures as they are. */
export function openStep(task, inputs) {
  const isVector = (name) => /\.weight_[uv]$/.test(name);
  const withMoments = (p) => {
    const zeros = () => tree.map((x) => np.zeros(x.shape), p);
    return { p, m: zeros(), v: zeros() };
  };
  let state = {
    g: withMoments(netsOf(inputs, GENERATORS, () => true)),
    d: withMoments(netsOf(inputs, DISCRIMINATORS, (name) => !isVector(name))),
    us: netsOf(inputs, DISCRIMINATORS, (name) => name.endsWith('.weight_u')),
  };
  const step = jit((now, pictures, corrections) => iteration(task, now, pictures, corrections));
  let done = 0;
  let losses = null;
  return preparedStep(task, {
    run() {
      done++;
      losses?.dispose();
      const corrections = np.array(BETAS.map((beta) => 1 - beta ** done));
      const next = step(state, { a: inputs.a.ref, b: inputs.b.ref }, corrections);
      state = next.state;
      losses = next.losses;
    },
    async losses() {
      const [d, g] = await losses.ref.data();
      return { 'D.loss': d, 'G.loss': g };
    },
    close() {
      tree.dispose([state, inputs.a, inputs.b, losses]);
      step.dispose();
    },
  });
}
