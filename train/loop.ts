import { resolve } from 'node:path';
import { CapacityError, type Device, withinMemory } from '../engine/index.ts';
import { createModel, freeModel, type Model } from '../model/model.ts';
import { checkOptions } from '../model/recipe.ts';
import { readState } from './checkpoint.ts';
import { isDirectory } from './data/dataPath.ts';
import { DataError } from './data/errors.ts';
import { dataFingerprint } from './data/fingerprint.ts';
import { type Dataset, openDataset } from './data/folder.ts';
import { createLoader, type Loader } from './data/loader.ts';
import { type Environment, environmentChanges, environmentOf } from './environment.ts';
import { TrainingError } from './errors.ts';
import { iterateAndSave, type Run } from './iterate.ts';
import { settleKernels } from './kernels.ts';
import { lowerOptions } from './memoryPlan.ts';
import { metricsFile, rewindMetrics } from './metrics.ts';
import { type Observer, tell, type Warn, warner } from './observers.ts';
import { type LoopOptions, type RunConfig, recipeOf } from './options.ts';
import {
  checkpointPath,
  claimFolder,
  createRun,
  listCheckpoints,
  type RunFolder,
  reopenRun,
  runFolder,
} from './runFolder.ts';
import { samplePictures } from './samples.ts';
import { learningRate } from './schedule.ts';
import { closeSession, openSession } from './session.ts';
import { prepareModel } from './start.ts';
import { isStop, orStop } from './stopping.ts';

/** How a run ended. */
export interface RunEnd {
  readonly step: number;
  /** Steps of this run alone; 0 where it was stopped before the first. */
  readonly steps: number;
  /** The schedule is complete. */
  readonly complete: boolean;
  readonly folder: RunFolder;
}

/** What a run is given, all in one. */
interface Job {
  readonly device: Device;
  readonly config: RunConfig;
  readonly options: LoopOptions;
  readonly observers: readonly Observer[];
  readonly stop: AbortSignal;
  readonly folder: RunFolder;
  readonly warn: Warn;
}

function makeLoader({ config, options, warn }: Job, dataset: Dataset, startStep: number): Loader {
  return createLoader({
    ...dataset,
    warn,
    size: config.model.size,
    batch: config.model.batch,
    seed: config.seed,
    augment: config.augment,
    shuffle: config.shuffle,
    threads: options.threads,
    startStep,
  });
}

/**
 * Opens the data set: where a continued run found it before, if it is there still, else by its name. Gives
 * the configuration with the folder.
 */
async function openData({ config, options, stop, warn }: Job): Promise<[Dataset, RunConfig]> {
  const { dataFolder, dataRoot, background } = config;
  const data = dataFolder && (await isDirectory(dataFolder)) ? dataFolder : config.data;
  try {
    const dataset = await orStop(openDataset(data, { dataRoot, background, warn }), stop);
    const { path } = dataset;
    return [dataset, path === undefined ? config : { ...config, dataFolder: resolve(path) }];
  } catch (error) {
    if (!(error instanceof DataError && options.resume)) throw error;
    const [what] = error.message.split('\n');
    throw new DataError(
      `${what}: if the pictures have moved, say where they are with --resume --data FOLDER`,
    );
  }
}

/** Says what keeps a continuation from repeating the numbers that the run would have had without a pause. */
async function tellChanges({ config, folder, warn }: Job, step: number, now: Environment): Promise<void> {
  const before = await readState(checkpointPath(folder, step)).catch(() => null);
  if (!before) return;
  const changes = before.environment ? environmentChanges(before.environment, now) : [];
  if (changes.length > 0) {
    warn(`from here on the numbers are not those of a run without a pause: ${changes.join('; ')}`);
  }
  const rateBy = ({ iterations, lr, decay }: RunConfig) => learningRate(step + 1, iterations, lr, decay);
  if (!before.config || step >= config.iterations || rateBy(before.config) === rateBy(config)) return;
  const show = (rate: number) => Number(rate.toPrecision(3));
  warn(
    `iteration ${step + 1} has learning rate ${show(rateBy(config))}, ` +
      `it would have been ${show(rateBy(before.config))}: the schedule is now of ${config.iterations} ` +
      `iterations and begins at ${config.lr}`,
  );
}

/** Trains a prepared model until the end, the limit or the stop. */
async function trainModel(job: Job, model: Model, dataset: Dataset): Promise<RunEnd> {
  const { device, config, options, observers, stop, folder, warn } = job;
  // Given up, it ends by itself when it meets the memory of the model that is freed.
  const start = await orStop(prepareModel(model, config, folder, options.resume, warn), stop);
  const pictures = await orStop(dataFingerprint(dataset), stop);
  const environment = environmentOf(device, config, pictures);
  if (options.resume) {
    await tellChanges(job, start, environment);
    await rewindMetrics(folder.metrics, start);
  }
  if (start >= config.iterations) return { step: start, steps: 0, complete: true, folder };
  const samples = await orStop(samplePictures(dataset, config, warn), stop);
  const session = await openSession(
    model,
    (done, total) => {
      stop.throwIfAborted();
      for (const o of observers) o.compiling?.(done, total);
    },
    config.seed,
  );
  const loader = makeLoader(job, dataset, start);
  const metrics = metricsFile(folder.metrics, warn);
  const run: Run = {
    ...{ config, environment, options, folder, session, loader, samples, start },
    ...{ observers: [metrics, ...observers], step: start, checked: start, saved: start },
    ...{ news: [], told: performance.now() },
  };
  try {
    await iterateAndSave(run, stop);
    return { step: run.step, steps: run.step - start, complete: run.step >= config.iterations, folder };
  } finally {
    await metrics.end?.();
    await loader.close();
    await closeSession(session).catch(() => {});
  }
}

/** Everything from the data set on, in a folder that is ours alone. */
async function trainIn(given: Job): Promise<RunEnd> {
  const { device, options, observers, stop, folder } = given;
  const [dataset, located] = await openData(given);
  const config = await settleKernels(device, located, options, observers, stop);
  const job = { ...given, config };
  if (options.resume) await reopenRun(folder, config);
  else await createRun(folder, config, options);
  const model = await withinMemory(
    device,
    () => createModel(device, recipeOf(config), config.model),
    freeModel,
  );
  try {
    stop.throwIfAborted();
    return await trainModel(job, model, dataset);
  } finally {
    freeModel(model);
  }
}

/** What the adapter cannot hold, with the options of this recipe that would need less. */
function tooMuch(error: CapacityError, config: RunConfig): TrainingError {
  const advice = lowerOptions(recipeOf(config), config.model);
  return new TrainingError(advice ? `${error.message}: ${advice}` : error.message, { cause: error });
}

/**
 * Trains as configured, from the start or (`options.resume`) from the newest checkpoint in the run's folder.
 * @param stop aborting it saves and ends the run after the steps that are under way (`IN_FLIGHT` at most);
 * before the first step is done it ends the run at once
 * @throws TrainingError, DataError, CheckpointError, DeviceError: one sentence each; what was saved stays.
 */
export async function train(
  device: Device,
  config: RunConfig,
  options: LoopOptions,
  observers: readonly Observer[],
  stop: AbortSignal,
): Promise<RunEnd> {
  const folder = runFolder(options.out);
  const job: Job = { device, config, options, observers, stop, folder, warn: warner(observers) };
  try {
    checkOptions(recipeOf(config), config.model);
    const release = await claimFolder(folder, config, options);
    try {
      return await trainIn(job);
    } finally {
      await release();
    }
  } catch (error) {
    if (error instanceof CapacityError) throw tooMuch(error, config);
    if (!isStop(error, stop)) throw error;
    const step = (await listCheckpoints(folder)).at(-1)?.step ?? 0;
    return { step, steps: 0, complete: false, folder };
  } finally {
    await tell(observers, 'end');
  }
}
