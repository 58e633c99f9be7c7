import {
  allocate,
  type Device,
  dispose,
  paperDevice,
  record,
  release,
  run,
  type Tensor,
  trace,
  upload,
  type Variants,
  vjp,
} from '../../engine/index.ts';
import { initialise } from '../../model/ensemble.ts';
import { allocateInputs, createModel, ensemblesOf, freeModel, recordStep } from '../../model/model.ts';
import { createTranslator, freeTranslator, runTranslator, type Translator } from '../../model/translator.ts';
import { DEFAULTS, type UgatitConfig, ugatit } from '../../model/ugatit/ugatit.ts';
import { values } from '../../test/cases/types.ts';
import { closeSession, openSession, runStep } from '../../train/session.ts';
import { flopsOf } from '../flops.ts';
import { checkGenerator, checkTraining } from '../golden.ts';
import type { BenchCase } from '../types.ts';

/** Every op by its naive twin. */
export const ALL_NAIVE: Variants = Object.fromEntries(
  ['conv2d', 'norm', 'linear', 'spectralNorm', 'cam', 'adam'].map((op) => [op, 'naive']),
);

function describe({ light, size, ch, nRes, batch, disLayers }: UgatitConfig): string {
  const kind = light ? 'light' : 'full';
  return `${kind} ${size}x${size} ch ${ch} n_res ${nRes} D ${disLayers.join(',')} batch ${batch}`;
}

const picture = (size: number, seed: number) =>
  Float32Array.from(values([1, size, size, 3], seed, 0.5).data, (v) => Math.min(Math.max(v, -1), 1));

/** The generator on a picture, and its weights' gradients where asked for. */
function buildGenerator(
  model: Translator<UgatitConfig>,
  x: Tensor,
  dy: Tensor | null,
): Record<string, Tensor> {
  const { image } = runTranslator(model, x);
  if (!dy) return { image };
  const grads = vjp([image], [dy], [...model.ensemble.parameters.tensors.values()].flat());
  return { image, ...Object.fromEntries(grads.map((g, i) => [`g${i}`, g])) };
}

function generatorCase(config: UgatitConfig, backward: boolean, naive: boolean): BenchCase {
  const { size } = config;
  const shape = [1, size, size, 3];
  const inputs = (device: Device) => ['x', 'dy'].map((label) => allocate(device, shape, label));
  return {
    name: `generator_${config.light ? 'light' : 'full'}_${size}_ch${config.ch}`,
    op: 'generator',
    pass: backward ? 'training' : 'forward',
    shape: describe(config),
    bound: 'arithmetic',
    naive: naive ? ALL_NAIVE : undefined,
    countFlops(device) {
      const paper = paperDevice(device);
      const model = createTranslator(paper, ugatit, config, ugatit.ways.A2B);
      const [x, dy] = inputs(paper);
      return flopsOf(paper, () => buildGenerator(model, x, backward ? dy : null));
    },
    open: () => async (device) => {
      const model = createTranslator(device, ugatit, config, ugatit.ways.A2B);
      initialise(device, [model.ensemble], 1);
      const [x, dy] = inputs(device);
      upload(device, x, picture(size, 1));
      upload(device, dy, picture(size, 2));
      const program = await record(device, () => buildGenerator(model, x, backward ? dy : null));
      return {
        steps: program.steps,
        async check() {
          const check = await checkGenerator(device);
          run(program);
          return check;
        },
        dispose() {
          dispose(program);
          for (const tensor of [x, dy]) release(device, tensor);
          freeTranslator(model);
        },
      };
    },
  };
}

function stepOn(paper: Device, config: UgatitConfig): () => Record<string, Tensor> {
  const model = createModel(paper, ugatit, config);
  const inputs = allocateInputs(model);
  return () => ({ ...recordStep(model, inputs).all });
}

/** The whole training iteration. */
export function stepCase(config: UgatitConfig, naive: boolean): BenchCase {
  const { size } = config;
  return {
    name: `step_${config.light ? 'light' : 'full'}_${size}_ch${config.ch}`,
    op: 'step',
    pass: 'iteration',
    shape: describe(config),
    bound: 'arithmetic',
    naive: naive ? ALL_NAIVE : undefined,
    countFlops(device) {
      const paper = paperDevice(device);
      return flopsOf(paper, stepOn(paper, config));
    },
    onPaper(paper) {
      trace(paper, stepOn(paper, config));
    },
    open: () => async (device) => {
      const model = createModel(device, ugatit, config);
      initialise(device, ensemblesOf(model), 1);
      const session = await openSession(model);
      return {
        steps: session.step.steps,
        async check() {
          const check = await checkTraining(device);
          const pictures = { a: picture(size, 1), b: picture(size, 2) };
          runStep(session, pictures as Parameters<typeof runStep>[1], 1, 1e-4);
          return check;
        },
        async dispose() {
          await closeSession(session);
          freeModel(model);
        },
      };
    },
  };
}

/** Small networks as the peers were measured with. */
export const PEERS: UgatitConfig = { ...DEFAULTS, size: 64, ch: 16, nRes: 4, disLayers: [5, 4] };

/** Generators and iterations; at 256 only where the adapter is a GPU. */
export function networkCases(quick: boolean, isCpu: boolean): BenchCase[] {
  const own = [...(isCpu ? [96, 128] : [128, 256])].map((size) => ({ ...DEFAULTS, size }));
  const small = [generatorCase(PEERS, false, true), generatorCase(PEERS, true, true), stepCase(PEERS, true)];
  if (quick) return small;
  return [
    ...small,
    ...own.flatMap((config) => [generatorCase(config, false, false), generatorCase(config, true, false)]),
    ...(isCpu ? [96, 128] : [96, 128, 256]).map((size) => stepCase({ ...DEFAULTS, size }, false)),
  ];
}
