import * as tf from '@tensorflow/tfjs';

// Layers of U-GAT-IT in TensorFlow.js: channels last, weights [H,W,I,O].

const EPS = 1e-5;
const SPACE = [1, 2];

/** The transpose of a reflection by `p` along an axis: what was mirrored is added where it came from. */
function unreflect(dy, axis, p) {
  const n = dy.shape[axis] - 2 * p;
  const at = (value, other) => dy.shape.map((d, i) => (i === axis ? value : other(d)));
  const part = (from, size) =>
    tf.slice(
      dy,
      at(from, () => 0),
      at(size, (d) => d),
    );
  const put = (x, before) =>
    tf.pad(
      x,
      at([before, n - p - before], () => [0, 0]),
    );
  const left = put(tf.reverse(part(0, p), axis), 1);
  const right = put(tf.reverse(part(p + n, p), axis), n - 1 - p);
  return tf.addN([part(p, n), left, right]);
}

/**
 * tf.mirrorPad with a gradient that is right: its own only cuts the border off and forgets that the mirrored
 * pixels count too (gradients/MirrorPad_grad.ts of tfjs-core 4.22).
 */
function reflect(x, p) {
  if (p === 0) return x;
  const widths = [
    [0, 0],
    [p, p],
    [p, p],
    [0, 0],
  ];
  const padded = tf.customGrad((t) => ({
    value: tf.mirrorPad(t, widths, 'reflect'),
    gradFunc: (dy) => unreflect(unreflect(dy, 1, p), 2, p),
  }));
  return padded(x);
}

export function conv(x, w, { pad = 0, stride = 1, bias = null } = {}) {
  const y = tf.conv2d(reflect(x, pad), w, stride, 'valid');
  return bias ? tf.add(y, bias) : y;
}

/** x [N,I] times the transpose of w [O,I]. */
export const linear = (x, w) => tf.matMul(x, w, false, true);

function normalise(x, axes, unbiased) {
  const { mean, variance } = tf.moments(x, axes, true);
  const count = axes.reduce((product, axis) => product * x.shape[axis], 1);
  const scaled = unbiased ? tf.mul(variance, count / (count - 1)) : variance;
  return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(scaled, EPS)));
}

export const instanceNorm = (x) => normalise(x, SPACE, false);

/** rho times the instance norm, the rest the layer norm; gamma and beta [N,C] or [C]. */
export function mixedNorm(x, rho, gamma, beta) {
  const c = x.shape[3];
  const mixed = tf.add(
    tf.mul(normalise(x, SPACE, true), rho),
    tf.mul(normalise(x, [1, 2, 3], true), tf.sub(1, rho)),
  );
  return tf.add(tf.mul(mixed, tf.reshape(gamma, [-1, 1, 1, c])), tf.reshape(beta, [-1, 1, 1, c]));
}

/** Average and maximum over each plane: [N,C]. */
export const pools = (x) => [tf.mean(x, SPACE), tf.max(x, SPACE)];

export function upsample(x) {
  return tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]);
}
