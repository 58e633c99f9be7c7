import type { Device } from '../../engine/device/device.ts';
import { createModel, ensemblesOf, freeModel, type Model } from '../../model/model.ts';
import { getTensor, type ParameterGroup, setTensor } from '../../model/parameters.ts';
import type { ParameterSpec } from '../../model/spec.ts';
import { DEFAULTS, type UgatitConfig, ugatit } from '../../model/ugatit/ugatit.ts';
import { closeSession, openSession, readLosses, runStep } from '../../train/session.ts';
import { type Golden, maxError, normError, openGolden, toNhwc } from './golden.ts';

/** One number or tensor of a recorded iteration: our error against float64, and PyTorch float32's own. */
export interface TrainingError {
  readonly iteration: number;
  readonly kind: 'loss' | 'gradient' | 'power' | 'parameter' | 'moment';
  readonly name: string;
  readonly elements: number;
  /** ‖out − ref‖ / ‖ref‖. */
  readonly norm: number;
  /** max |out − ref| / max |ref|. */
  readonly max: number;
  /** max |out − ref|. */
  readonly distance: number;
  /** Largest |ref|. */
  readonly largest: number;
  /** Of a parameter: ‖out − ref‖ / ‖ref − initial‖, the error of what training changed. */
  readonly update: number;
  /** Elements further off than one step of the learning rate: Adam's sign went the other way. */
  readonly flips: number;
  /** max |PyTorch float32 − ref|, where it was recorded. */
  readonly torch: number | null;
}

interface TrainConfig {
  light: boolean;
  ch: number;
  n_res: number;
  img_size: number;
  dis_layers?: [number, number];
  batch: number;
  lr: number;
  weight_decay: number;
  init: string;
  inputs: string;
}

/** A recording of a training run: float64, PyTorch's float32, initial weights and pictures. */
interface Recording {
  readonly config: TrainConfig;
  readonly f64: Golden;
  readonly f32: Golden;
  readonly init: Golden;
  readonly inputs: Golden;
}

function openRecording(path: string): Recording {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const f64 = openGolden(path);
  const config = f64.metadata.config as TrainConfig;
  const beside = (name: string) => openGolden(folder + name);
  const f32 = openGolden(path.replace('.f64.', '.f32.'));
  return { config, f64, f32, init: beside(config.init), inputs: beside(config.inputs) };
}

function modelOf(device: Device, { config, init }: Recording): Model<UgatitConfig> {
  const { light, ch, n_res: nRes, img_size: size, batch, weight_decay: weightDecay } = config;
  const disLayers = config.dis_layers ?? DEFAULTS.disLayers;
  const model = createModel(device, ugatit, {
    ...DEFAULTS,
    light,
    ch,
    nRes,
    size,
    batch,
    weightDecay,
    disLayers,
  });
  for (const { parameters, u, v } of ensemblesOf(model)) {
    for (const group of [parameters, u, v]) {
      for (const spec of group.specs) setTensor(device, group, spec, init.f32(spec.name));
    }
  }
  return model;
}

/** Pictures are recorded as bytes q: x = (q − 128) / 128. */
function pictures(inputs: Golden, name: string): Float32Array {
  const values = inputs.f32(name).map((q) => (q - 128) / 128);
  return toNhwc(values, inputs.shape(name));
}

/** PyTorch float32's distance, from its recorded tensor or from the table of distances. */
function torchDistance({ f64, f32 }: Recording, name: string): number | null {
  if (f32.has(name)) return farthest(f32.f64(name), f64.f64(name));
  const table = ['.D.grad.', '.G.grad.', '.param.'].find((t) => name.includes(t));
  if (!table) return null;
  const [step, row] = name.split(table);
  const names = (f32.metadata.names as Record<string, string[]>)[table.slice(1, -1)];
  const noise = `${step}${table}noise`;
  return f32.has(noise) ? f32.f64(noise)[2 * names.indexOf(row)] : null;
}

function farthest(out: ArrayLike<number>, ref: Float64Array): number {
  return ref.reduce((most, r, i) => Math.max(most, Math.abs(out[i] - r)), 0);
}

/** ‖out − ref‖ / ‖ref − initial‖; 0 where nothing is to move and nothing did. */
function updateError(out: ArrayLike<number>, ref: Float64Array, initial: Float32Array): number {
  let wrong = 0;
  let moved = 0;
  ref.forEach((r, i) => {
    wrong += (out[i] - r) ** 2;
    moved += (r - initial[i]) ** 2;
  });
  return wrong === 0 ? 0 : Math.sqrt(wrong / moved);
}

/** Compares what the iterations compute with a recording, and collects the errors. */
function comparer(recording: Recording, errors: TrainingError[]) {
  const { f64, config, init } = recording;
  return (kind: TrainingError['kind'], name: string, out: ArrayLike<number>) => {
    if (!f64.has(name)) return;
    const ref = f64.f64(name);
    const parameter = name.slice('it1.param.'.length);
    errors.push({
      iteration: Number(name[2]),
      kind,
      name: name.slice(4),
      elements: ref.length,
      norm: normError(out, ref),
      max: maxError(out, ref),
      distance: out.length === ref.length ? farthest(out, ref) : Number.POSITIVE_INFINITY,
      largest: ref.reduce((most, r) => Math.max(most, Math.abs(r)), 0),
      update: kind === 'parameter' ? updateError(out, ref, init.f32(parameter)) : 0,
      flips: ref.reduce((count, r, i) => count + (Math.abs(out[i] - r) <= config.lr ? 0 : 1), 0),
      torch: torchDistance(recording, name),
    });
  };
}

type Compare = ReturnType<typeof comparer>;

async function compareGroup(
  model: Model<UgatitConfig>,
  kind: TrainingError['kind'],
  group: ParameterGroup,
  nameOf: (spec: ParameterSpec) => string,
  { recording, compare }: { recording: Recording; compare: Compare },
) {
  for (const spec of group.specs) {
    const name = nameOf(spec);
    if (recording.f64.has(name)) compare(kind, name, await getTensor(model.device, group, spec));
  }
}

/** Everything the recording has of iteration `step`, after it has run. */
async function compareState(
  model: Model<UgatitConfig>,
  step: number,
  recording: Recording,
  compare: Compare,
) {
  const to = { recording, compare };
  const at = `it${step}`;
  const { G, D } = model.trained;
  await compareGroup(model, 'gradient', D.gradients, (s) => `${at}.D.grad.${s.name}`, to);
  await compareGroup(model, 'gradient', G.gradients, (s) => `${at}.G.grad.${s.name}`, to);
  for (const group of [D.ensemble.u, D.ensemble.v]) {
    await compareGroup(model, 'power', group, (s) => `${at}.G.buffer.${s.name}`, to);
  }
  for (const { parameters, moments } of ensemblesOf(model)) {
    await compareGroup(model, 'parameter', parameters, (s) => `${at}.param.${s.name}`, to);
    await compareGroup(model, 'moment', moments!.first, (s) => `${at}.adam.m.${s.name}`, to);
    await compareGroup(model, 'moment', moments!.second, (s) => `${at}.adam.v.${s.name}`, to);
  }
}

/** What a replay of a recorded training run gave. */
export interface Replay {
  readonly lr: number;
  readonly errors: TrainingError[];
  /** Smallest and largest rho after each iteration. */
  readonly rhos: [number, number][];
}

async function rhoRange({ device, trained }: Model<UgatitConfig>): Promise<[number, number]> {
  const generators = trained.G.ensemble;
  const values: number[] = [];
  for (const spec of generators.parameters.specs.filter((s) => s.role === 'rho')) {
    values.push(...(await getTensor(device, generators.parameters, spec)));
  }
  return [Math.min(...values), Math.max(...values)];
}

/** Three iterations of the recorded training step from a recording's weights, on its pictures. */
export async function replayTraining(device: Device, path: string): Promise<Replay> {
  const recording = openRecording(path);
  const { inputs, config } = recording;
  const model = modelOf(device, recording);
  const session = await openSession(model);
  const errors: TrainingError[] = [];
  const rhos: [number, number][] = [];
  const compare = comparer(recording, errors);
  for (const step of [1, 2, 3]) {
    const a = pictures(inputs, `it${step}.real_A`);
    const b = pictures(inputs, `it${step}.real_B`);
    runStep(session, { a, b } as Parameters<typeof runStep>[1], step, config.lr);
    const [losses] = await readLosses(session);
    for (const [name, value] of Object.entries(losses)) compare('loss', `it${step}.${name}`, [value]);
    await compareState(model, step, recording, compare);
    rhos.push(await rhoRange(model));
  }
  await closeSession(session);
  freeModel(model);
  return { lr: config.lr, errors, rhos };
}
