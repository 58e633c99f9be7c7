import type { Device } from '../engine/index.ts';
import { createModel, ensemblesOf, freeModel, type Model } from '../model/model.ts';
import { setTensor } from '../model/parameters.ts';
import { DEFAULTS, type UgatitConfig, ugatit } from '../model/ugatit/ugatit.ts';
import { type Golden, goldenFiles, openGolden, toNhwc } from '../test/parity/golden.ts';
import { networkErrors } from '../test/parity/networks.ts';
import { closeSession, openSession, readLosses, runStep } from '../train/session.ts';
import type { Check } from './types.ts';

// Whole networks are too large to compute again in float64 here: their kernels and wiring are checked on
// small ones, against float64 recordings of the authors' definition (test/golden).

function recording(folder: string, name: string): string {
  const found = goldenFiles(folder, '.f64.safetensors').find((f) => f.set === 'small' && f.name === name);
  if (!found) throw new Error(`test/golden/small/${folder} has no ${name}`);
  return found.path;
}

/** A small light generator, forward and backward, against its recording. */
export async function checkGenerator(device: Device): Promise<Check> {
  const errors = await networkErrors(device, recording('nets', 'g_light_ch2_nonsquare'));
  const note = 'small generator against its float64 recording';
  return { error: Math.max(...errors.map(({ ours }) => ours)), tolerance: 1e-3, note };
}

interface TrainConfig {
  ch: number;
  n_res: number;
  img_size: number;
  dis_layers: [number, number];
  batch: number;
  lr: number;
  weight_decay: number;
  init: string;
  inputs: string;
}

function modelFrom(device: Device, config: TrainConfig, init: Golden): Model<UgatitConfig> {
  const { ch, n_res: nRes, img_size: size, batch, weight_decay: weightDecay, dis_layers: disLayers } = config;
  const model = createModel(device, ugatit, { ...DEFAULTS, ch, nRes, size, batch, weightDecay, disLayers });
  for (const { parameters, u, v } of ensemblesOf(model)) {
    for (const group of [parameters, u, v]) {
      for (const spec of group.specs) setTensor(device, group, spec, init.f32(spec.name));
    }
  }
  return model;
}

/** The losses of two small training iterations against their recording. */
export async function checkTraining(device: Device): Promise<Check> {
  const path = recording('train', 'light_b1');
  const f64 = openGolden(path);
  const config = f64.metadata.config as TrainConfig;
  const beside = (name: string) => openGolden(path.slice(0, path.lastIndexOf('/') + 1) + name);
  const inputs = beside(config.inputs);
  const model = modelFrom(device, config, beside(config.init));
  const session = await openSession(model);
  const picture = (name: string) =>
    toNhwc(
      inputs.f32(name).map((q) => (q - 128) / 128),
      inputs.shape(name),
    );
  let error = 0;
  for (const step of [1, 2]) {
    const [a, b] = ['A', 'B'].map((domain) => picture(`it${step}.real_${domain}`));
    runStep(session, { a, b } as Parameters<typeof runStep>[1], step, config.lr);
    const [losses] = await readLosses(session);
    for (const [name, value] of Object.entries(losses)) {
      const known = `it${step}.${name}`;
      if (!f64.has(known)) continue;
      const [ref] = f64.f64(known);
      const off = Math.abs(value - ref) / Math.abs(ref);
      if (!(off <= error)) error = off;
    }
  }
  await closeSession(session);
  freeModel(model);
  return { error, tolerance: 1e-3, note: 'losses of two small iterations against their float64 recording' };
}
