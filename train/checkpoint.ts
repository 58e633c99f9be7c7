import { CheckpointError } from '../engine/errors.ts';
import { elements } from '../engine/index.ts';
import type { Ensemble } from '../model/ensemble.ts';
import { ensemblesOf, type Model } from '../model/model.ts';
import { type ParameterGroup, readTensor, setTensor } from '../model/parameters.ts';
import type { ParameterSpec } from '../model/spec.ts';
import { type Environment, parseEnvironment } from './environment.ts';
import { TrainingError } from './errors.ts';
import { describeArchitecture } from './formats/architecture.ts';
import { openCheckpoint } from './formats/checkpoint.ts';
import { matchTensors } from './formats/match.ts';
import { splitName } from './formats/names.ts';
import { type TensorSource, writeSafetensors } from './formats/safetensors.node.ts';
import type { CheckpointView } from './formats/view.ts';
import type { Warn } from './observers.ts';
import { parseConfig, type RunConfig } from './options.ts';

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
  readonly config: RunConfig;
  /** What else decided its numbers. */
  readonly environment: Environment;
}

/** A tensor's values piece by piece. @throws TrainingError at the first that is not finite */
async function* finiteValues(model: Model, { name, group, spec }: Entry): AsyncIterable<Float32Array> {
  for await (const values of readTensor(model.device, group, spec)) {
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new TrainingError(`${name} became ${values[bad]}`);
    yield values;
  }
}

/**
 * Writes everything a continuation needs: parameters, spectral-norm vectors, Adam's moments, step and
 * configuration (random numbers are functions of seed and step, so these are the random state). Atomic:
 * a file of that name is whole or absent. Tensors have the authors' names and order of elements.
 * @throws TrainingError, and writes nothing, when a value is not finite
 */
export async function saveCheckpoint(path: string, model: Model, state: CheckpointState): Promise<void> {
  const ensembles = ensemblesOf(model);
  const entries = [...ensembles.flatMap(weightsOf), ...ensembles.flatMap(optimiserOf)];
  const sources: TensorSource[] = entries.map((entry) => ({
    name: entry.name,
    shape: [...entry.spec.authorsShape],
    dtype: 'F32',
    read: () => finiteValues(model, entry),
  }));
  // Whoever is given the file need not know where the pictures were.
  const { dataFolder: _, ...config } = state.config;
  const metadata = {
    format: 'adawn-1',
    step: String(state.step),
    config: JSON.stringify(config),
    environment: JSON.stringify(state.environment),
  };
  await writeSafetensors(path, sources, metadata);
}

async function load(view: CheckpointView, model: Model, entries: Entry[], warn?: Warn): Promise<void> {
  const expected = new Map(entries.map(({ name, spec }) => [name, spec.authorsShape]));
  const names = matchTensors(expected, view, { warn });
  for (const { name, group, spec } of entries) {
    const values = await view.read(names.get(name)!);
    if (values.length !== elements(spec.shape)) throw new CheckpointError(`${view.path}: ${name} is damaged`);
    setTensor(model.device, group, spec, values);
  }
}

/**
 * Starts a model from weights (`--init`) in a .pt or safetensors file: all networks, or the generators alone,
 * as people publish them; the discriminators stay as they are then.
 * @param warn hears of the latter, and of what else is to be known of the file
 */
export async function loadWeights(path: string, model: Model, warn: Warn): Promise<void> {
  const view = await openCheckpoint(path);
  try {
    const { networks } = describeArchitecture(view);
    const makers = new Set(Object.values(model.recipe.ways).map(({ network }) => network));
    const judges = [...model.optimiserOf.keys()].filter((name) => !makers.has(name));
    const generatorsAlone =
      networks.length > 0 &&
      [...makers].every((name) => networks.includes(name)) &&
      !judges.some((name) => networks.includes(name) || view.rivals.has(name));
    const all = ensemblesOf(model).flatMap(weightsOf);
    const wanted = ({ name }: Entry) =>
      !generatorsAlone || makers.has(splitName(name, view.networks).network);
    await load(view, model, all.filter(wanted), warn);
    if (generatorsAlone) warn(`${path} has the generators alone: ${judges.join(', ')} start from the seed`);
  } finally {
    await view.close();
  }
}

/**
 * Restores a run's model and optimiser; returns the step it was saved at.
 * @throws CheckpointError when the file is no checkpoint of ours or does not fit the model.
 */
export async function loadCheckpoint(path: string, model: Model): Promise<number> {
  const view = await openCheckpoint(path);
  try {
    const step = Number(view.metadata.step);
    if (!Number.isInteger(step) || step < 0 || !view.metadata.format?.startsWith('adawn-')) {
      throw new CheckpointError(
        `${path} has weights but no training state: start a new run with --init ${path} instead of --resume`,
      );
    }
    const ensembles = ensemblesOf(model);
    await load(view, model, [...ensembles.flatMap(weightsOf)]);
    await load(view, model, [...ensembles.flatMap(optimiserOf)]);
    return step;
  } finally {
    await view.close();
  }
}

/** The configuration in a checkpoint, as text. */
export async function configText(path: string): Promise<string> {
  const view = await openCheckpoint(path);
  await view.close();
  return view.metadata.config ?? '';
}

/** What a checkpoint says beside its tensors, as far as it does. */
export async function readState(
  path: string,
): Promise<{ config: RunConfig | null; environment: Environment | null }> {
  const view = await openCheckpoint(path);
  await view.close();
  const { config = '', environment } = view.metadata;
  return { config: parseConfig(config), environment: parseEnvironment(environment) };
}
