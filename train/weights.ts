/** Where weights come from: the file that a path means, and the generator in a file. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../engine/errors.ts';
import { setTensor } from '../model/parameters.ts';
import { LONE, type Translator } from '../model/translator.ts';
import { DEFAULTS, type UgatitConfig } from '../model/ugatit/ugatit.ts';
import { type Architecture, describeArchitecture } from './formats/architecture.ts';
import { explainLack } from './formats/explain.ts';
import { matchTensors } from './formats/match.ts';
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

/** Side of the pictures: asked for, else as the run was trained, else tied to the weights, else 256. */
function sizeOf(view: CheckpointView, found: Architecture, asked: number | undefined): number {
  if (asked !== undefined) return asked;
  if (found.size !== undefined) return found.size;
  try {
    const config = JSON.parse(view.metadata.config ?? '{}') as { model?: { size?: number } };
    return config.model?.size ?? 256;
  } catch {
    return 256;
  }
}

/**
 * What the generator called `network` in the file is made of, or the one that the file holds alone.
 * @param size side of the pictures, where it is asked for
 * @throws CheckpointError when the file has no such generator
 */
export function generatorConfig(view: CheckpointView, network: string, size?: number): UgatitConfig {
  const found = describeArchitecture(view, [network]);
  if (found.networks.length > 0 && !found.networks.includes(network)) {
    const other = found.networks.some((name) => name.startsWith('gen')) ? ': try the other --direction' : '';
    throw new CheckpointError(`${explainLack(view, network, `has no ${network}`)}${other}`);
  }
  const { ch, nRes, light } = found;
  if (ch === undefined || nRes === undefined || light === undefined) {
    const missing = ch !== undefined && light === undefined;
    const part = missing ? ', but a part of one (FC.0.weight is missing, or no matrix)' : '';
    throw new CheckpointError(explainLack(view, network, `holds no generator of U-GAT-IT${part}`));
  }
  return { ...DEFAULTS, light, ch, nRes, size: sizeOf(view, found, size) };
}

/** Fills a translator with the generator called `network` in the file, or the one that it holds alone. */
export async function loadGenerator(
  view: CheckpointView,
  network: string,
  { device, ensemble }: Pick<Translator, 'device' | 'ensemble'>,
  warn: Warn,
): Promise<void> {
  const { parameters } = ensemble;
  const nameOf = (spec: { name: string }) => `${network}.${spec.name.slice(LONE.length + 1)}`;
  const expected = new Map(parameters.specs.map((spec) => [nameOf(spec), spec.authorsShape]));
  // The other options are read off the file.
  const names = matchTensors(expected, view, { network, options: ['--size'], warn });
  for (const spec of parameters.specs) {
    setTensor(device, parameters, spec, await view.read(names.get(nameOf(spec))!));
  }
}
