import './webgpu.mjs'; // first: it makes navigator.gpu
import {
  blockUntilReady,
  defaultDevice,
  getWebGPUDevice,
  init,
  jit,
  numpy as np,
  tree,
  vjp,
} from '@jax-js/jax';
import { serve } from '../protocol.ts';
import { conv, instanceNorm, mixedNorm } from './jaxjs/layers.mjs';
import { generator } from './jaxjs/networks.mjs';
import { openStep } from './jaxjs/step.mjs';
import { expectMs, failOnErrors, versionOf } from './webgpu.mjs';

const toDevice = (inputs) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, data }]) => [name, np.array(data).reshape([...shape])]),
  );

async function toHost(outputs) {
  const results = {};
  for (const [name, array] of Object.entries(outputs)) {
    results[name] = { shape: array.shape, data: new Float32Array(await array.data()) };
  }
  return results;
}

function layer({ kind, pad, stride }, t) {
  if (kind === 'conv') return conv(t.x, t.w, { pad, stride });
  if (kind === 'instance') return instanceNorm(t.x);
  const perChannel = (x) => x.reshape([1, -1, 1, 1]);
  return mixedNorm(t.x, perChannel(t.rho), perChannel(t.gamma), perChannel(t.beta));
}

function layerResults(task, { dy, ...t }) {
  if (!task.backward) return { y: layer(task, t) };
  const [y, back] = vjp((inputs) => layer(task, inputs), [t]);
  const [grads] = back(dy);
  back.dispose();
  return { y, ...Object.fromEntries(Object.entries(grads).map(([name, g]) => [`d${name}`, g])) };
}

/** The function compiled by jit, with its inputs kept on the GPU. */
function prepared(inputs, compute) {
  const compiled = jit(compute);
  // Kept until they are waited for: jax-js is lazy, and work for what was disposed of is never submitted.
  let pending = [];
  const once = () => compiled(tree.ref(inputs));
  return {
    run: () => void pending.push(once()),
    async finish() {
      await blockUntilReady(pending);
      tree.dispose(pending);
      pending = [];
    },
    results: () => toHost(once()),
    close() {
      tree.dispose(inputs);
      compiled.dispose();
    },
  };
}

await init('webgpu');
defaultDevice('webgpu');
failOnErrors(getWebGPUDevice());
await serve({
  hello: () => ({ version: versionOf('@jax-js/jax'), details: {} }),
  expect: expectMs,
  async open(task, inputs) {
    const t = toDevice(inputs);
    if (task.kind === 'step') return openStep(task, t);
    if (task.kind !== 'generator') return prepared(t, (x) => layerResults(task, x));
    return prepared(t, ({ x, ...parameters }) => {
      const { image, camLogit } = generator((name) => parameters[name].ref, task.nRes, x);
      camLogit.dispose();
      tree.dispose(parameters);
      return { y: image };
    });
  },
});
process.exit(0); // its device cannot be closed, and keeps the process alive
