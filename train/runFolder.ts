import { existsSync } from 'node:fs';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { configText, readState } from './checkpoint.ts';
import { onFiles, TrainingError } from './errors.ts';
import { isTemporary, makeFolder, writeAtomically } from './formats/file.node.ts';
import { lockFolder } from './lock.ts';
import { readMetrics } from './metrics.ts';
import { changedOptions, type LoopOptions, parseConfig, type RunConfig } from './options.ts';

/** Paths of a run's folder, `results/RUN/`. */
export interface RunFolder {
  readonly root: string;
  readonly config: string;
  readonly metrics: string;
  readonly samples: string;
  readonly checkpoints: string;
}

export function runFolder(root: string): RunFolder {
  return {
    root,
    config: join(root, 'config.json'),
    metrics: join(root, 'metrics.csv'),
    samples: join(root, 'samples'),
    checkpoints: join(root, 'checkpoints'),
  };
}

const pad = (step: number) => String(step).padStart(7, '0');

export function checkpointPath(folder: RunFolder, step: number): string {
  return join(folder.checkpoints, `step_${pad(step)}.safetensors`);
}

export function samplePath(folder: RunFolder, direction: string, step: number): string {
  return join(folder.samples, `${direction}_${pad(step)}.png`);
}

/** Checkpoints of the run, oldest first. */
export async function listCheckpoints(folder: RunFolder): Promise<{ step: number; path: string }[]> {
  if (!existsSync(folder.checkpoints)) return [];
  const names = await readdir(folder.checkpoints);
  return names
    .map((name) => ({ name, match: /^step_(\d+)\.safetensors$/.exec(name) }))
    .filter(({ match }) => match)
    .map(({ name, match }) => ({ step: Number(match![1]), path: join(folder.checkpoints, name) }))
    .sort((a, b) => a.step - b.step);
}

/** Deletes all but the newest `keep` checkpoints. */
export async function pruneCheckpoints(folder: RunFolder, keep: number): Promise<void> {
  const all = await listCheckpoints(folder);
  for (const { path } of all.slice(0, Math.max(0, all.length - keep))) await rm(path, { force: true });
}

/** Deletes what interrupted writes left behind. */
async function removeTemporary(folder: RunFolder): Promise<void> {
  for (const place of [folder.root, folder.checkpoints, folder.samples]) {
    const names = await readdir(place).catch(() => []);
    for (const name of names.filter(isTemporary)) await rm(join(place, name), { force: true });
  }
}

const isSample = (name: string) => /^\w+_\d{7,}\.png$/.test(name);
const isCheckpoint = (name: string) => /^step_\d{7,}\.safetensors(\.damaged)?$/.test(name);

const elsewhere = 'choose another folder with --out';

/** The configuration in a new run's folder; null where there is none. @throws TrainingError for another's. */
async function earlierConfig(folder: RunFolder): Promise<RunConfig | null> {
  if (!existsSync(folder.config)) return null;
  const config = parseConfig(await readFile(folder.config, 'utf8'));
  if (!config) throw new TrainingError(`${folder.config} is no configuration of adawn's: ${elsewhere}`);
  return config;
}

/** Whether the run of these options may take over what an earlier one left, `replace` included. */
const mayReplace = (earlier: RunConfig | null, config: RunConfig, { replace }: LoopOptions) =>
  replace !== undefined && earlier !== null && changedOptions(earlier, config).length === 0;

/** Checks that a new run would overwrite nothing but what an earlier run of adawn's left there. */
async function demandFree(folder: RunFolder, config: RunConfig, options: LoopOptions): Promise<void> {
  const earlier = await earlierConfig(folder);
  const metrics = await readMetrics(folder.metrics);
  if (metrics && !metrics.ours)
    throw new TrainingError(`${folder.metrics} has no header of adawn's: ${elsewhere}`);
  if (mayReplace(earlier, config, options)) return;
  const newest = (await listCheckpoints(folder)).at(-1);
  if (newest && options.replace) {
    throw new TrainingError(
      `${folder.root} holds a run with other options (step ${newest.step}): ${elsewhere}`,
    );
  }
  if (newest) {
    throw new TrainingError(
      `${folder.root} holds a run already (step ${newest.step}): ` +
        'continue it with --resume, or choose another folder with --out',
    );
  }
  const names = await readdir(folder.samples).catch(() => []);
  const inTheWay = earlier ? [] : names.filter(isSample).map((name) => join(folder.samples, name));
  inTheWay.push(...(options.replace ?? []).map((name) => join(folder.root, name)).filter(existsSync));
  if (inTheWay.length > 0)
    throw new TrainingError(`${inTheWay[0]} is in the way, of no run that adawn knows: ${elsewhere}`);
}

/** Checks that there is something to continue from. */
async function demandCheckpoint(folder: RunFolder): Promise<void> {
  if ((await listCheckpoints(folder)).length > 0) return;
  const metrics = await readMetrics(folder.metrics);
  const ends = metrics?.ours ? ` (metrics.csv ends at step ${metrics.last})` : '';
  throw new TrainingError(
    `${folder.root} has no checkpoint to continue from${ends}: ` +
      'put one back, or start anew without --resume and with another --out',
  );
}

/**
 * Makes this process the one that trains in a run's folder, and checks that it may: a new run must find
 * nothing that adawn did not write, a continued one a checkpoint. Changes nothing else. Gives what ends it.
 * @throws TrainingError where there is something in the way, or another process trains there
 */
export async function claimFolder(
  folder: RunFolder,
  config: RunConfig,
  options: LoopOptions,
): Promise<() => Promise<void>> {
  const demand = () => (options.resume ? demandCheckpoint(folder) : demandFree(folder, config, options));
  await demand();
  const isNew = !existsSync(folder.root);
  await onFiles(`cannot write to ${folder.root}`, elsewhere, () => makeFolder(folder.root));
  const unlock = await lockFolder(folder.root);
  const release = async () => {
    await unlock();
    if (isNew) await rmdir(folder.root).catch(() => {}); // only if nothing has been written to it
  };
  try {
    await demand(); // another process may have begun and ended in between
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

/** Removes what a run wrote into its folder, and nothing else that may be there. */
async function clear(folder: RunFolder, more: readonly string[]): Promise<void> {
  const inside = async (place: string, isOurs: (name: string) => boolean) => {
    const names = await readdir(place).catch(() => []);
    return names.filter(isOurs).map((name) => join(place, name));
  };
  const files = [
    ...(await inside(folder.checkpoints, isCheckpoint)),
    ...(await inside(folder.samples, isSample)),
    ...more.map((name) => join(folder.root, name)),
    ...[folder.metrics, folder.config],
  ];
  for (const path of files) await rm(path, { force: true });
}

/** Makes a claimed folder ready for a new run; `replace` as in the options. */
export async function createRun(folder: RunFolder, config: RunConfig, options: LoopOptions): Promise<void> {
  await onFiles(`cannot write to ${folder.root}`, elsewhere, async () => {
    if (mayReplace(await earlierConfig(folder), config, options)) await clear(folder, options.replace!);
    await makeFolder(folder.samples);
    await makeFolder(folder.checkpoints);
    await removeTemporary(folder);
    await rm(folder.metrics, { force: true });
    await writeConfig(folder, config);
  });
}

/** Makes a claimed folder ready to be continued; its options may have changed. */
export async function reopenRun(folder: RunFolder, config: RunConfig): Promise<void> {
  await onFiles(`cannot write to ${folder.root}`, 'make room or change its permissions', async () => {
    await makeFolder(folder.samples);
    await removeTemporary(folder);
    await writeConfig(folder, config);
  });
}

/** Writes config.json so that it is whole or absent. */
async function writeConfig(folder: RunFolder, config: RunConfig): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
  await writeAtomically(folder.config, (to) => to.write(bytes));
}

/**
 * The recipe that a run's folder names, in its configuration or its newest checkpoint; null where none does.
 */
export async function recipeOfFolder(folder: RunFolder): Promise<string | null> {
  const texts = [
    async () => readFile(folder.config, 'utf8'),
    ...(await listCheckpoints(folder)).reverse().map(
      ({ path }) =>
        async () =>
          configText(path),
    ),
  ];
  for (const read of texts) {
    try {
      const { recipe } = JSON.parse((await read()).replace(/^\uFEFF/, '')) as Partial<RunConfig>;
      if (typeof recipe === 'string') return recipe;
    } catch {
      // The next one may tell.
    }
  }
  return null;
}

/**
 * Reads a run's configuration; where config.json is lost or damaged, that of the newest checkpoint.
 * @throws TrainingError when there is no run to continue.
 */
export async function readConfig(folder: RunFolder, warn: (message: string) => void): Promise<RunConfig> {
  const text = await readFile(folder.config, 'utf8').catch(() => null);
  const config = parseConfig(text ?? '');
  if (config) return config;
  const problem = text === null ? 'is missing' : 'is damaged';
  for (const { path } of (await listCheckpoints(folder)).reverse()) {
    const found = (await readState(path).catch(() => null))?.config;
    if (!found) continue;
    warn(`${folder.config} ${problem}: the run's options were taken from ${path}`);
    return found;
  }
  if (text === null) {
    throw new TrainingError(`${folder.root} holds no run to continue: start one without --resume`);
  }
  throw new TrainingError(
    `${folder.config} ${problem}, and no checkpoint tells the run's options: ` +
      'restore it, or start again without --resume',
  );
}
