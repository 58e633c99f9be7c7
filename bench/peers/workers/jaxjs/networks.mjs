import { numpy as np } from '@jax-js/jax';
import { conv, instanceNorm, leakyRelu, linear, mixedNorm, pools, relu, tanh, upsample } from './layers.mjs';

// U-GAT-IT's networks in jax-js. `p` gives a reference to a parameter by the authors' name.

/** Both weighted maps side by side through the 1x1 convolution, and the logits of both pools. */
function attention(p, x, weights) {
  const logits = pools(x.ref).map((pool, i) => linear(pool, weights.logit[i]));
  const scaled = weights.attention.map((w) => x.ref.mul(w.reshape([1, -1, 1, 1])));
  x.dispose();
  const y = conv(np.concatenate(scaled, 1), p('conv1x1.weight'), { bias: p('conv1x1.bias') });
  return { y, camLogit: np.concatenate(logits, 1) };
}

function encode(p, nRes, picture) {
  let x = relu(instanceNorm(conv(picture, p('DownBlock.1.weight'), { pad: 3 })));
  for (const slot of [5, 9]) {
    x = relu(instanceNorm(conv(x, p(`DownBlock.${slot}.weight`), { pad: 1, stride: 2 })));
  }
  for (let i = 0; i < nRes; i++) {
    const block = `DownBlock.${12 + i}.conv_block`;
    const h = relu(instanceNorm(conv(x.ref, p(`${block}.1.weight`), { pad: 1 })));
    x = x.add(instanceNorm(conv(h, p(`${block}.5.weight`), { pad: 1 })));
  }
  return x;
}

function decode(p, nRes, features, gamma, beta) {
  let x = features;
  for (let i = 1; i <= nRes; i++) {
    const block = `UpBlock1_${i}`;
    const norm = (j, t) => mixedNorm(t, p(`${block}.norm${j}.rho`), gamma.ref, beta.ref);
    const h = relu(norm(1, conv(x.ref, p(`${block}.conv1.weight`), { pad: 1 })));
    x = x.add(norm(2, conv(h, p(`${block}.conv2.weight`), { pad: 1 })));
  }
  gamma.dispose();
  beta.dispose();
  for (const slot of [2, 7]) {
    const parameters = ['rho', 'gamma', 'beta'].map((name) => p(`UpBlock2.${slot + 1}.${name}`));
    const h = conv(upsample(x), p(`UpBlock2.${slot}.weight`), { pad: 1 });
    x = relu(mixedNorm(h, ...parameters));
  }
  return tanh(conv(x, p('UpBlock2.11.weight'), { pad: 3 }));
}

/** The light generator: picture [N,3,H,W] to { image, camLogit }. */
export function generator(p, nRes, picture) {
  const weights = () => [p('gap_fc.weight'), p('gmp_fc.weight')];
  const features = encode(p, nRes, picture);
  const { y, camLogit } = attention(p, features, { attention: weights(), logit: weights() });
  const x = relu(y);
  const pooled = np.mean(x.ref, [2, 3]);
  const style = relu(linear(relu(linear(pooled, p('FC.0.weight'))), p('FC.2.weight')));
  const [gamma, beta] = ['gamma', 'beta'].map((name) =>
    linear(style.ref, p(`${name}.weight`)).reshape([picture.shape[0], -1, 1, 1]),
  );
  style.dispose();
  return { image: decode(p, nRes, x, gamma, beta), camLogit };
}

/** A discriminator; `spectral` gives a layer's normalised weight. The attention uses the plain weights. */
export function discriminator(p, spectral, layers, picture) {
  let x = picture;
  for (let i = 0; i < layers - 1; i++) {
    const name = `model.${1 + 3 * i}`;
    const options = { pad: 1, stride: i === layers - 2 ? 1 : 2, bias: p(`${name}.bias`) };
    x = leakyRelu(conv(x, spectral(name), options));
  }
  const names = ['gap_fc', 'gmp_fc'];
  const weights = { attention: names.map((n) => p(`${n}.weight_orig`)), logit: names.map(spectral) };
  const { y, camLogit } = attention(p, x, weights);
  return { logit: conv(leakyRelu(y), spectral('conv'), { pad: 1 }), camLogit };
}
