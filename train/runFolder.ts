import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onFiles, TrainingError } from './errors.ts';
import { openCheckpoint } from './formats/checkpoint.ts';
import { makeFolder } from './formats/file.node.ts';
import { parseConfig, type RunConfig } from './options.ts';

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
    for (const name of names.filter((n) => n.endsWith('.tmp'))) await rm(join(place, name), { force: true });
  }
}

/** Creates a new run's folder. @throws TrainingError when there is a run already. */
export async function createRun(folder: RunFolder, config: RunConfig): Promise<void> {
  const newest = (await listCheckpoints(folder)).at(-1);
  if (newest) {
    throw new TrainingError(
      `${folder.root} holds a run already (step ${newest.step}): ` +
        'continue it with --resume, or choose another folder with --out',
    );
  }
  await onFiles(`cannot write to ${folder.root}`, 'choose another folder with --out', async () => {
    await makeFolder(folder.samples);
    await makeFolder(folder.checkpoints);
    await removeTemporary(folder);
    await rm(folder.metrics, { force: true });
    await writeConfig(folder, config);
  });
}

/** Makes a run's folder ready to be continued; its options may have changed. */
export async function reopenRun(folder: RunFolder, config: RunConfig): Promise<void> {
  await onFiles(`cannot write to ${folder.root}`, 'make room or change its permissions', async () => {
    await makeFolder(folder.samples);
    await removeTemporary(folder);
    await writeConfig(folder, config);
  });
}

/** Writes config.json so that it is whole or absent. */
async function writeConfig(folder: RunFolder, config: RunConfig): Promise<void> {
  await writeFile(`${folder.config}.tmp`, `${JSON.stringify(config, null, 2)}\n`);
  await rename(`${folder.config}.tmp`, folder.config);
}

/** The configuration a checkpoint was written with, or null. */
async function configIn(path: string): Promise<RunConfig | null> {
  const view = await openCheckpoint(path).catch(() => null);
  await view?.close();
  return parseConfig(view?.metadata.config ?? '');
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
    const found = await configIn(path);
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
