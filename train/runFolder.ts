import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TrainingError } from './errors.ts';
import type { RunConfig } from './options.ts';

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

/** Deletes all but the newest `keep` checkpoints, and what an interrupted write left. */
export async function pruneCheckpoints(folder: RunFolder, keep: number): Promise<void> {
  const all = await listCheckpoints(folder);
  for (const { path } of all.slice(0, Math.max(0, all.length - keep))) await rm(path, { force: true });
}

/** Creates a new run's folder. @throws TrainingError when there is a run already. */
export async function createRun(folder: RunFolder, config: RunConfig): Promise<void> {
  const done = await listCheckpoints(folder);
  if (done.length > 0) {
    throw new TrainingError(
      `${folder.root} holds a run already (step ${done[done.length - 1].step}): ` +
        'continue it with --resume, or choose another folder with --out',
    );
  }
  await mkdir(folder.samples, { recursive: true });
  await mkdir(folder.checkpoints, { recursive: true });
  await rm(folder.metrics, { force: true });
  await writeConfig(folder, config);
}

/** Writes config.json so that it is whole or absent. */
export async function writeConfig(folder: RunFolder, config: RunConfig): Promise<void> {
  await writeFile(`${folder.config}.tmp`, `${JSON.stringify(config, null, 2)}\n`);
  await rename(`${folder.config}.tmp`, folder.config);
}

/** Reads a run's configuration. @throws TrainingError when there is no run to continue. */
export async function readConfig(folder: RunFolder): Promise<RunConfig> {
  const text = await readFile(folder.config, 'utf8').catch(() => null);
  if (text === null) {
    throw new TrainingError(`${folder.root} holds no run to continue: start one without --resume`);
  }
  try {
    return JSON.parse(text) as RunConfig;
  } catch {
    throw new TrainingError(
      `${folder.config} is not valid JSON: restore it, or start anew with another --out`,
    );
  }
}
