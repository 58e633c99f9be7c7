import { rename } from 'node:fs/promises';
import { basename } from 'node:path';
import { CheckpointError } from '../engine/errors.ts';
import { initialising } from '../model/ensemble.ts';
import { ensemblesOf, type Model } from '../model/model.ts';
import { loadCheckpoint, loadWeights } from './checkpoint.ts';
import type { Warn } from './observers.ts';
import type { RunConfig } from './options.ts';
import { listCheckpoints, type RunFolder } from './runFolder.ts';
import { weightsFile } from './weights.ts';

/** Restores the newest checkpoint that is whole; damaged ones are put aside. Null where there is none. */
async function restore(model: Model, folder: RunFolder, warn: Warn): Promise<number | null> {
  const checkpoints = (await listCheckpoints(folder)).reverse();
  const damaged: { path: string; error: CheckpointError }[] = [];
  for (const { path } of checkpoints) {
    try {
      const step = await loadCheckpoint(path, model);
      for (const { path: bad, error } of damaged) {
        await rename(bad, `${bad}.damaged`);
        warn(`${error.message}: renamed to ${basename(bad)}.damaged; going on from ${path}`);
      }
      return step;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      damaged.push({ path, error });
    }
  }
  if (damaged.length === 0) return null;
  const none =
    checkpoints.length > 1 ? 'no older checkpoint can be used either' : 'it is the only checkpoint';
  throw new CheckpointError(
    `${damaged[0].error.message}\n${none}: restore it, or start anew with another --out`,
  );
}

/**
 * Brings the model to its first state: from the newest checkpoint, from weights (a file, or a run's folder,
 * whose newest checkpoint is taken), or from the seed.
 */
export async function prepareModel(
  model: Model,
  config: RunConfig,
  folder: RunFolder,
  resume: boolean,
  warn: Warn,
): Promise<number> {
  const restored = resume ? await restore(model, folder, warn) : null;
  if (restored !== null) return restored;
  // The moments start at zero; weights that --init has not are those of the seed.
  for (const _ of initialising(model.device, ensemblesOf(model), config.seed)) {
    await new Promise((turn) => setImmediate(turn)); // signals have their turn
  }
  if (config.init) await loadWeights(await weightsFile(config.init, warn), model, warn);
  return 0;
}
