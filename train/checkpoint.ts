import { CheckpointError } from '../engine/errors.ts';
import { elements } from '../engine/record/shape.ts';
import type { Ensemble } from '../model/ensemble.ts';
import { getTensor, type ParameterGroup, setTensor } from '../model/parameters.ts';
import type { ParameterSpec } from '../model/spec.ts';
import type { Ugatit } from '../model/ugatit/ugatit.ts';
import { TrainingError } from './errors.ts';
import { type CheckpointView, matchTensors, openCheckpoint } from './formats/checkpoint.ts';
import { type TensorSource, writeSafetensors } from './formats/safetensors.node.ts';

/** A tensor of the model as a file knows it. */
interface Entry {
  readonly name: string;
  readonly group: ParameterGroup;
  readonly spec: ParameterSpec;
}

function groupEntries(group: ParameterGroup, prefix = ''): Entry[] {
  return group.specs.map((spec) => ({ name: prefix + spec.name, group, spec }));
}

const weightsOf = ({ parameters, u, v }: Ensemble) => [parameters, u, v].flatMap((g) => groupEntries(g));

function optimiserOf({ moments }: Ensemble): Entry[] {
  if (!moments) return [];
  return [...groupEntries(moments.first, 'adam.m.'), ...groupEntries(moments.second, 'adam.v.')];
}

/** What a checkpoint says beside its tensors. */
export interface CheckpointState {
  /** Iterations done. */
  readonly step: number;
  /** The run's configuration, as in config.json. */
  readonly config: unknown;
}

async function finiteValues(model: Ugatit, { name, group, spec }: Entry): Promise<Float32Array> {
  const values = await getTensor(model.device, group, spec);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new TrainingError(`${name} became ${values[bad]}`);
  return values;
}

/**
 * Writes everything a continuation needs: parameters, spectral-norm vectors, Adam's moments, step and
 * configuration (random numbers are functions of seed and step, so these are the random state). Atomic:
 * a file of that name is whole or absent. Tensors have the authors' names and order of elements.
 * @throws TrainingError, and writes nothing, when a value is not finite
 */
export async function saveCheckpoint(path: string, model: Ugatit, state: CheckpointState): Promise<void> {
  const ensembles = [model.generators, model.discriminators];
  const entries = [...ensembles.flatMap(weightsOf), ...ensembles.flatMap(optimiserOf)];
  const sources: TensorSource[] = entries.map((entry) => ({
    name: entry.name,
    shape: [...entry.spec.authorsShape],
    dtype: 'F32',
    read: () => finiteValues(model, entry),
  }));
  const metadata = { format: 'adawn-1', step: String(state.step), config: JSON.stringify(state.config) };
  await writeSafetensors(path, sources, metadata);
}

async function load(view: CheckpointView, model: Ugatit, entries: Entry[]): Promise<void> {
  const expected = new Map(entries.map(({ name, spec }) => [name, spec.authorsShape]));
  const names = matchTensors(expected, view);
  for (const { name, group, spec } of entries) {
    const values = await view.read(names.get(name)!);
    if (values.length !== elements(spec.shape)) throw new CheckpointError(`${view.path}: ${name} is damaged`);
    setTensor(model.device, group, spec, values);
  }
}

/** Starts a model from weights (`--init`): all six networks, from a .pt or safetensors file. */
export async function loadWeights(path: string, model: Ugatit): Promise<void> {
  const view = await openCheckpoint(path);
  try {
    await load(view, model, [model.generators, model.discriminators].flatMap(weightsOf));
  } finally {
    await view.close();
  }
}

/**
 * Restores a run's model and optimiser; returns the step it was saved at.
 * @throws CheckpointError when the file is no checkpoint of ours or does not fit the model.
 */
export async function loadCheckpoint(path: string, model: Ugatit): Promise<number> {
  const view = await openCheckpoint(path);
  try {
    const step = Number(view.metadata.step);
    if (!Number.isInteger(step) || step < 0 || !view.metadata.format?.startsWith('adawn-')) {
      throw new CheckpointError(
        `${path} has weights but no training state: start a new run with --init ${path} instead of --resume`,
      );
    }
    const ensembles = [model.generators, model.discriminators];
    await load(view, model, [...ensembles.flatMap(weightsOf)]);
    await load(view, model, [...ensembles.flatMap(optimiserOf)]);
    return step;
  } finally {
    await view.close();
  }
}
