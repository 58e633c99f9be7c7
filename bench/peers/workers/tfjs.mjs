import './webgpu.mjs'; // first: it makes navigator.gpu
import * as tf from '@tensorflow/tfjs';
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { FROM_HWIO, TO_HWIO, TO_NCHW, TO_NHWC, transpose } from '../layout.ts';
import { serve } from '../protocol.ts';
import { conv, instanceNorm, mixedNorm } from './tfjs/layers.mjs';
import { generator } from './tfjs/networks.mjs';
import { openStep } from './tfjs/step.mjs';
import { expectMs, failOnErrors, versionOf } from './webgpu.mjs';

const isPicture = (name) => /^(x|y|a|b|dx|dy)$/.test(name);

/** Parameters of four axes are convolutions; rho and its like [1,C,1,1] become [C]. */
export function ours(name, x) {
  const { shape } = x;
  if (shape.length !== 4) return x;
  if (isPicture(name)) return transpose(x, TO_NHWC);
  if (/\.(rho|gamma|beta)$/.test(name)) return { shape: [shape[1]], data: x.data };
  return transpose(x, TO_HWIO);
}

export const toDevice = (inputs) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, x]) => {
      const { data, shape } = ours(name, x);
      return [name, tf.keep(tf.tensor(data, shape))];
    }),
  );

async function toHost(outputs) {
  const results = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    const x = { shape: tensor.shape, data: await tensor.data() };
    results[name] = x.shape.length !== 4 ? x : transpose(x, isPicture(name) ? TO_NCHW : FROM_HWIO);
  }
  tf.dispose(outputs);
  return results;
}

function layer({ kind, pad, stride }, t) {
  if (kind === 'conv') return conv(t.x, t.w, { pad, stride });
  if (kind === 'instance') return instanceNorm(t.x);
  return mixedNorm(t.x, t.rho, t.gamma, t.beta);
}

function layerResults(task, { dy, ...t }) {
  const names = Object.keys(t);
  const forward = (...args) => layer(task, Object.fromEntries(names.map((name, i) => [name, args[i]])));
  if (!task.backward) return { y: forward(...Object.values(t)) };
  const { value, grads } = tf.valueAndGrads(forward)(Object.values(t), dy);
  return { y: value, ...Object.fromEntries(grads.map((g, i) => [`d${names[i]}`, g])) };
}

/** Submits what TensorFlow.js still holds back, and waits for the queue. */
async function drain() {
  const backend = tf.backend();
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue();
  await backend.device.queue.onSubmittedWorkDone();
}

function prepared(inputs, compute) {
  const once = () => tf.tidy(compute);
  return {
    run: () => tf.dispose(once()),
    finish: drain,
    results: () => toHost(once()),
    close: () => tf.dispose(inputs),
  };
}

async function start() {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const limits = [
    'maxComputeWorkgroupStorageSize',
    'maxComputeWorkgroupsPerDimension',
    'maxStorageBufferBindingSize',
    'maxBufferSize',
    'maxComputeWorkgroupSizeX',
    'maxComputeInvocationsPerWorkgroup',
  ];
  // What the package asks for itself, less a feature name that it hands over in a list of its own.
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
  tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => new WebGPUBackend(device, adapter.info));
  await tf.setBackend('webgpu');
  await tf.ready();
  return device;
}

const device = await start();
failOnErrors(device);
await serve({
  hello: () => ({ version: versionOf('@tensorflow/tfjs'), details: {} }),
  expect: expectMs,
  async open(task, inputs) {
    const t = toDevice(inputs);
    if (task.kind === 'step') return openStep(task, t);
    if (task.kind !== 'generator') return prepared(t, () => layerResults(task, t));
    return prepared(t, () => ({ y: generator((name) => t[name], task.nRes, t.x).image }));
  },
});
device.destroy();
