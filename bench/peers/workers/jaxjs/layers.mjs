import { lax, nn, numpy as np } from '@jax-js/jax';

// Layers of U-GAT-IT in jax-js: channels first, weights [O,I,H,W]. Functions own their arguments, as
// everywhere in jax-js: `.ref` where one is used again.

const EPS = 1e-5;
const SPACE = [2, 3];

/** Reflection by `p` pixels, from slices: jax-js pads with zeros only. */
function reflect(x, p) {
  if (p === 0) return x;
  let padded = x;
  for (const axis of SPACE) {
    const n = padded.shape[axis];
    const part = (from, to) => padded.ref.slice(...(axis === 2 ? [] : [[]]), [], [], [from, to]);
    const left = np.flip(part(1, p + 1), axis);
    const right = np.flip(part(n - 1 - p, n - 1), axis);
    padded = np.concatenate([left, padded, right], axis);
  }
  return padded;
}

export function conv(x, w, { pad = 0, stride = 1, bias = null } = {}) {
  const y = lax.convGeneralDilated(reflect(x, pad), w, [stride, stride], 'VALID');
  return bias ? y.add(bias.reshape([1, -1, 1, 1])) : y;
}

/** x [N,I] times the transpose of w [O,I]. */
export const linear = (x, w) => np.matmul(x, np.transpose(w));

function normalise(x, axis, correction) {
  const centred = x.ref.sub(np.mean(x, axis, { keepdims: true }));
  const count = axis.reduce((product, a) => product * centred.shape[a], 1);
  const variance = np
    .square(centred.ref)
    .sum(axis, { keepdims: true })
    .mul(1 / (count - correction));
  return centred.div(np.sqrt(variance.add(EPS)));
}

export const instanceNorm = (x) => normalise(x, SPACE, 0);

/** rho times the instance norm, the rest the layer norm; gamma and beta [N,C,1,1] or [1,C,1,1]. */
export function mixedNorm(x, rho, gamma, beta) {
  const instance = normalise(x.ref, SPACE, 1).mul(rho.ref);
  const layer = normalise(x, [1, 2, 3], 1).mul(np.array(1).sub(rho));
  return instance.add(layer).mul(gamma).add(beta);
}

/** Average and maximum over each plane: [N,C]. */
export const pools = (x) => [np.mean(x.ref, SPACE), np.max(x, SPACE)];

export const upsample = (x) => np.repeat(np.repeat(x, 2, 2), 2, 3);

export const { relu } = nn;
export const leakyRelu = (x) => nn.leakyRelu(x, 0.2);
export const { tanh } = np;
