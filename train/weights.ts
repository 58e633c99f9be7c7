/** Where weights come from: the file that a path means, and the generator in a file. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../engine/errors.ts';
import { setTensor } from '../model/parameters.ts';
import { type CommonOptions, defaultsOf, type Recipe } from '../model/recipe.ts';
import { DEFAULT_RECIPE, recipeNamed } from '../model/recipes.ts';
import { LONE, type Translator } from '../model/translator.ts';
import { describeArchitecture } from './formats/architecture.ts';
import { openCheckpoint } from './formats/checkpoint.ts';
import { explainLack } from './formats/explain.ts';
import { matchTensors } from './formats/match.ts';
import { AUTHORS } from './formats/names.ts';
import { recipeSaid } from './formats/said.ts';
import type { CheckpointView } from './formats/view.ts';
import type { Warn } from './observers.ts';
import { listCheckpoints, runFolder } from './runFolder.ts';

/** Endings of the files that weights are kept in. */
const ENDINGS = /\.(pth?|ckpt|safetensors)$/i;

/**
 * The file that a path to weights means: itself, or, for a run's folder and for the `checkpoints` in it, the
 * newest checkpoint.
 * @param tell hears which checkpoint was taken
 * @throws CheckpointError for a folder that has none
 */
export async function weightsFile(path: string, tell: Warn): Promise<string> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false, // whoever opens it says why it cannot be read
  );
  if (!isFolder) return path;
  const run = runFolder(path);
  for (const checkpoints of [run.checkpoints, path]) {
    const newest = (await listCheckpoints({ ...run, checkpoints })).at(-1);
    if (!newest) continue;
    tell(`${newest.path} is taken, the newest checkpoint in ${path}`);
    return newest.path;
  }
  const other = (await readdir(path)).sort().find((name) => ENDINGS.test(name));
  const advice = other ? `name a file, such as ${join(path, other)}` : 'name a file with weights';
  throw new CheckpointError(`${path} is a folder without checkpoints of a run: ${advice}`);
}

/** The name of the recipe of the networks in a file. @throws CheckpointError where it cannot be read */
export async function readRecipe(path: string): Promise<string> {
  const view = await openCheckpoint(path);
  await view.close();
  return recipeSaid(view.metadata)?.recipe ?? DEFAULT_RECIPE;
}

/** The recipe of the networks in a file. @throws AdawnError where it is one of a file that is not loaded */
export const recipeIn = ({ metadata }: CheckpointView): Recipe =>
  recipeNamed(recipeSaid(metadata)?.recipe ?? DEFAULT_RECIPE);

/**
 * The options of the network in the file that is called `network`, or that the file holds alone. The side of
 * the pictures is the one asked for, else tied to the weights, else as the run was trained, else the usual.
 * @param size side of the pictures, where it is asked for
 * @throws CheckpointError when the file has no such network
 */
export function generatorOptions(view: CheckpointView, network: string, size?: number): CommonOptions {
  const recipe = recipeIn(view);
  const found = describeArchitecture(view, [network]);
  if (found.networks.length > 0 && !found.networks.includes(network)) {
    const others = Object.values(recipe.ways).some((way) => found.networks.includes(way.network));
    const advice = others ? ': try the other --direction' : '';
    throw new CheckpointError(`${explainLack(view, network, `has no ${network}`)}${advice}`);
  }
  const said = recipeSaid(view.metadata)?.model ?? {};
  const read = recipe === recipeNamed(DEFAULT_RECIPE) ? AUTHORS.options(found.settings) : said;
  if (typeof read === 'string') {
    throw new CheckpointError(explainLack(view, network, `holds no generator of ${recipe.title}${read}`));
  }
  const usual = defaultsOf(recipe);
  return { ...usual, ...read, size: size ?? read.size ?? said.size ?? usual.size };
}

/** Fills a translator with the generator called `network` in the file, or the one that it holds alone. */
export async function loadGenerator(
  view: CheckpointView,
  network: string,
  { device, ensemble }: Pick<Translator, 'device' | 'ensemble'>,
  warn: Warn,
): Promise<void> {
  const tensors = [ensemble.parameters, ensemble.u, ensemble.v].flatMap((group) =>
    group.specs.map((spec) => ({ group, spec })),
  );
  const nameOf = (spec: { name: string }) => `${network}.${spec.name.slice(LONE.length + 1)}`;
  const expected = new Map(tensors.map(({ spec }) => [nameOf(spec), spec.authorsShape]));
  // The other options are read off the file.
  const names = matchTensors(expected, view, { network, options: ['--size'], warn });
  for (const { group, spec } of tensors) {
    setTensor(device, group, spec, await view.read(names.get(nameOf(spec))!));
  }
}
