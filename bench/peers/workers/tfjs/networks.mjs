import * as tf from '@tensorflow/tfjs';
import { conv, instanceNorm, linear, mixedNorm, pools, upsample } from './layers.mjs';

// U-GAT-IT's networks in TensorFlow.js. `p` gives a parameter by the authors' name.

/** Both weighted maps side by side through the 1x1 convolution, and the logits of both pools. */
function attention(p, x, weights) {
  const c = x.shape[3];
  const scaled = weights.attention.map((w) => tf.mul(x, tf.reshape(w, [1, 1, 1, c])));
  const logits = pools(x).map((pool, i) => linear(pool, weights.logit[i]));
  const y = conv(tf.concat(scaled, 3), p('conv1x1.weight'), { bias: p('conv1x1.bias') });
  return { y, camLogit: tf.concat(logits, 1) };
}

function encode(p, nRes, picture) {
  let x = tf.relu(instanceNorm(conv(picture, p('DownBlock.1.weight'), { pad: 3 })));
  for (const slot of [5, 9]) {
    x = tf.relu(instanceNorm(conv(x, p(`DownBlock.${slot}.weight`), { pad: 1, stride: 2 })));
  }
  for (let i = 0; i < nRes; i++) {
    const block = `DownBlock.${12 + i}.conv_block`;
    const h = tf.relu(instanceNorm(conv(x, p(`${block}.1.weight`), { pad: 1 })));
    x = tf.add(x, instanceNorm(conv(h, p(`${block}.5.weight`), { pad: 1 })));
  }
  return x;
}

function decode(p, nRes, features, gamma, beta) {
  let x = features;
  for (let i = 1; i <= nRes; i++) {
    const block = `UpBlock1_${i}`;
    const norm = (j, t) => mixedNorm(t, p(`${block}.norm${j}.rho`), gamma, beta);
    const h = tf.relu(norm(1, conv(x, p(`${block}.conv1.weight`), { pad: 1 })));
    x = tf.add(x, norm(2, conv(h, p(`${block}.conv2.weight`), { pad: 1 })));
  }
  for (const slot of [2, 7]) {
    const [rho, gamma, beta] = ['rho', 'gamma', 'beta'].map((name) => p(`UpBlock2.${slot + 1}.${name}`));
    const h = conv(upsample(x), p(`UpBlock2.${slot}.weight`), { pad: 1 });
    x = tf.relu(mixedNorm(h, rho, gamma, beta));
  }
  return tf.tanh(conv(x, p('UpBlock2.11.weight'), { pad: 3 }));
}

/** The light generator: picture [N,H,W,3] to { image, camLogit }. */
export function generator(p, nRes, picture) {
  const weights = [p('gap_fc.weight'), p('gmp_fc.weight')];
  const { y, camLogit } = attention(p, encode(p, nRes, picture), { attention: weights, logit: weights });
  const x = tf.relu(y);
  const style = tf.relu(linear(tf.relu(linear(pools(x)[0], p('FC.0.weight'))), p('FC.2.weight')));
  const [gamma, beta] = ['gamma', 'beta'].map((name) => linear(style, p(`${name}.weight`)));
  return { image: decode(p, nRes, x, gamma, beta), camLogit };
}

/** A discriminator; `spectral` gives a layer's normalised weight. The attention uses the plain weights. */
export function discriminator(p, spectral, layers, picture) {
  let x = picture;
  for (let i = 0; i < layers - 1; i++) {
    const name = `model.${1 + 3 * i}`;
    const options = { pad: 1, stride: i === layers - 2 ? 1 : 2, bias: p(`${name}.bias`) };
    x = tf.leakyRelu(conv(x, spectral(name), options), 0.2);
  }
  const names = ['gap_fc', 'gmp_fc'];
  const weights = { attention: names.map((n) => p(`${n}.weight_orig`)), logit: names.map(spectral) };
  const { y, camLogit } = attention(p, x, weights);
  return { logit: conv(tf.leakyRelu(y, 0.2), spectral('conv'), { pad: 1 }), camLogit };
}
