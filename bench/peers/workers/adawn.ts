import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  adailn,
  closeDevice,
  conv2d,
  type Device,
  dispose,
  finish,
  instanceNorm,
  type Program,
  read,
  record,
  release,
  run,
  type Tensor,
  tensorFrom,
  vjp,
} from '../../../engine/index.ts';
import { openDevice } from '../../../engine/node.ts';
import type { Ensemble } from '../../../model/ensemble.ts';
import { createModel, ensemblesOf, freeModel } from '../../../model/model.ts';
import { setTensor } from '../../../model/parameters.ts';
import { createTranslator, freeTranslator, LONE, runTranslator } from '../../../model/translator.ts';
import { DEFAULTS, ugatit } from '../../../model/ugatit/ugatit.ts';
import { closeSession, openSession, readLosses, runStep } from '../../../train/session.ts';
import { TO_NCHW, TO_NHWC, transpose } from '../layout.ts';
import { type HostTensor, type HostTensors, type Prepared, serve, type Task } from '../protocol.ts';
import { LEARNING_RATE, preparedStep } from '../step.ts';

type Named = Record<string, Tensor>;

const ours = (x: HostTensor) => (x.shape.length === 4 ? transpose(x, TO_NHWC) : x);
const theirs = (x: HostTensor) => (x.shape.length === 4 ? transpose(x, TO_NCHW) : x);

function layer({ kind, pad, stride }: Task, t: Named): Tensor {
  if (kind === 'conv') return conv2d(t.x, t.w, null, { pad, stride });
  if (kind === 'instance') return instanceNorm(t.x);
  return adailn(t.x, t.rho, t.gamma, t.beta);
}

/** `y` and, where asked for, the gradients of all inputs. */
function layerResults(task: Task, t: Named): Named {
  const y = layer(task, t);
  if (!task.backward) return { y };
  const names = Object.keys(t).filter((name) => name !== 'dy');
  const grads = vjp(
    [y],
    [t.dy],
    names.map((name) => t[name]),
  );
  return { y, ...Object.fromEntries(grads.map((g, i) => [`d${names[i]}`, g])) };
}

async function resultsOf(device: Device, program: Program<Named>): Promise<HostTensors> {
  run(program);
  const results: HostTensors = {};
  for (const [name, tensor] of Object.entries(program.outputs)) {
    results[name] = theirs({ shape: tensor.shape, data: await read(device, tensor) });
  }
  return results;
}

async function openLayer(device: Device, task: Task, inputs: HostTensors): Promise<Prepared> {
  const t = Object.fromEntries(
    Object.entries(inputs).map(([name, x]) => [name, tensorFrom(device, ours(x).data, ours(x).shape, name)]),
  );
  const program = await record(device, () => layerResults(task, t));
  return {
    run: () => run(program),
    finish: () => finish(device),
    results: () => resultsOf(device, program),
    close() {
      dispose(program);
      for (const tensor of Object.values(t)) release(device, tensor);
    },
  };
}

/** Sets every tensor of an ensemble from values in the authors' order. */
function fill(device: Device, { parameters, u, v }: Ensemble, inputs: HostTensors, prefix = ''): void {
  for (const group of [parameters, u, v]) {
    for (const spec of group.specs)
      setTensor(device, group, spec, inputs[spec.name.slice(prefix.length)].data);
  }
}

async function openGenerator(device: Device, task: Task, inputs: HostTensors): Promise<Prepared> {
  const { ch, nRes } = task;
  const x = ours(inputs.x);
  const model = createTranslator(
    device,
    ugatit,
    { ...DEFAULTS, size: x.shape[1], ch, nRes },
    ugatit.ways.A2B,
  );
  fill(device, model.ensemble, inputs, `${LONE}.`);
  const picture = tensorFrom(device, x.data, x.shape, 'x');
  const program = await record(device, () => ({ y: runTranslator(model, picture).image }));
  return {
    run: () => run(program),
    finish: () => finish(device),
    results: () => resultsOf(device, program),
    close() {
      dispose(program);
      release(device, picture);
      freeTranslator(model);
    },
  };
}

async function openStep(device: Device, task: Task, inputs: HostTensors): Promise<Prepared> {
  const [a, b] = [ours(inputs.a), ours(inputs.b)];
  const { ch, nRes, disLayers } = task;
  const model = createModel(device, ugatit, { ...DEFAULTS, size: a.shape[1], ch, nRes, disLayers });
  for (const ensemble of ensemblesOf(model)) fill(device, ensemble, inputs);
  const session = await openSession(model);
  const batch = { a: a.data, b: b.data } as Parameters<typeof runStep>[1];
  let done = 0;
  return preparedStep(task, {
    run: () => runStep(session, batch, ++done, LEARNING_RATE),
    losses: async () => (await readLosses(session)).at(-1)!,
    async close() {
      await closeSession(session);
      freeModel(model);
    },
  });
}

const device = await openDevice();
await serve({
  hello() {
    const require = createRequire(import.meta.url);
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
    const dawn = require('webgpu/package.json').version as string;
    const { info, name } = device;
    return {
      version,
      details: {},
      gpu: { adapter: info.device || name, driver: info.description, dawn },
    };
  },
  open(task, inputs) {
    if (task.kind === 'generator') return openGenerator(device, task, inputs);
    if (task.kind === 'step') return openStep(device, task, inputs);
    return openLayer(device, task, inputs);
  },
});
await closeDevice(device);
