import { type Device, withinMemory } from '../engine/device/device.ts';
import { AdawnError } from '../engine/errors.ts';
import { checkConfig, createUgatit, freeUgatit, type Ugatit } from '../model/ugatit/ugatit.ts';
import { saveCheckpoint } from './checkpoint.ts';
import { DataError } from './data/errors.ts';
import { type Dataset, openDataset } from './data/folder.ts';
import { createLoader, type Loader } from './data/loader.ts';
import { TrainingError } from './errors.ts';
import { settleKernels } from './kernels.ts';
import { expectRoom } from './memoryPlan.ts';
import {
  metricsFile,
  type Observer,
  rewindMetrics,
  type StepRecord,
  tell,
  type Warn,
  warner,
} from './observers.ts';
import type { LoopOptions, RunConfig } from './options.ts';
import {
  checkpointPath,
  createRun,
  pruneCheckpoints,
  type RunFolder,
  reopenRun,
  runFolder,
  samplePath,
} from './runFolder.ts';
import { type SamplePictures, samplePictures, writeSampleGrid } from './samples.ts';
import { learningRate } from './schedule.ts';
import { closeSession, HISTORY_ROWS, openSession, readLosses, runStep, type Session } from './session.ts';
import { prepareModel } from './start.ts';

/** Read the losses at least this often (milliseconds), so that progress and NaNs show soon. */
const READ_EVERY_MS = 1000;

/** How a run ended. */
export interface RunEnd {
  readonly step: number;
  /** The schedule is complete. */
  readonly complete: boolean;
  readonly folder: RunFolder;
}

/** A run while it goes. */
interface Run {
  readonly config: RunConfig;
  readonly options: LoopOptions;
  readonly folder: RunFolder;
  readonly session: Session;
  readonly loader: Loader;
  readonly samples: SamplePictures;
  readonly observers: readonly Observer[];
  /** Steps submitted. */
  step: number;
  /** Steps whose losses were read, and found finite. */
  checked: number;
  saved: number;
}

function makeLoader(
  dataset: Dataset,
  config: RunConfig,
  options: LoopOptions,
  startStep: number,
  warn: Warn,
): Loader {
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

/** What is left of a run that failed, and how to go on. */
function lastGood({ folder, saved }: Run): string {
  return saved > 0
    ? `the last good checkpoint is ${checkpointPath(folder, saved)}: go on from it with --resume`
    : 'no checkpoint was written yet: start again';
}

/** Steps and weights that are not finite any more. */
class Diverged extends TrainingError {
  override name = 'TrainingError';
}

const rateOf = ({ iterations, lr, decay }: RunConfig, step: number) =>
  learningRate(step, iterations, lr, decay);

/** Reads the losses of the steps since the last call, and stops the run at the first that is not finite. */
async function inspect(run: Run): Promise<void> {
  const { config } = run;
  const rows = await readLosses(run.session);
  const records: StepRecord[] = rows.map((losses, i) => {
    const step = run.checked + i + 1;
    return { step, lr: rateOf(config, step), losses };
  });
  const bad = records.findIndex(({ losses }) => Object.values(losses).some((v) => !Number.isFinite(v)));
  await tell(run.observers, 'steps', bad < 0 ? records : records.slice(0, bad));
  if (bad >= 0) {
    const { step, losses } = records[bad];
    const [name, value] = Object.entries(losses).find(([, v]) => !Number.isFinite(v))!;
    throw new Diverged(`loss ${name} became ${value} at iteration ${step}`);
  }
  run.checked = run.step;
}

async function save(run: Run): Promise<void> {
  if (run.saved === run.step) return;
  await inspect(run);
  const path = checkpointPath(run.folder, run.step);
  await saveCheckpoint(path, run.session.model, { step: run.step, config: run.config }).catch((error) => {
    throw error instanceof TrainingError
      ? new Diverged(`${error.message} at iteration ${run.step}`, { cause: error })
      : error;
  });
  run.saved = run.step;
  await pruneCheckpoints(run.folder, run.options.keep);
  await tell(run.observers, 'checkpoint', run.step, path);
}

async function sample(run: Run): Promise<void> {
  const files: string[] = [];
  for (const direction of ['A2B', 'B2A'] as const) {
    const path = samplePath(run.folder, direction, run.step);
    await writeSampleGrid(run.session.model, direction, run.samples, path);
    files.push(path);
  }
  await tell(run.observers, 'sample', run.step, files);
}

const isDue = (step: number, every: number) => every > 0 && step % every === 0;

async function iterate(run: Run, stop: AbortSignal): Promise<void> {
  const { config, options, session } = run;
  const last = Math.min(config.iterations, run.step + options.stopAfter);
  let lastRead = performance.now();
  while (run.step < last && !stop.aborted) {
    const batch = await run.loader.next();
    const number = run.step + 1;
    runStep(session, batch, number, rateOf(config, number));
    run.step = number;
    const sampleNow = isDue(number, options.sampleEvery) || number === last;
    const saveNow = isDue(number, options.saveEvery);
    if (session.rows === HISTORY_ROWS || sampleNow || performance.now() - lastRead > READ_EVERY_MS) {
      await inspect(run);
      lastRead = performance.now();
    }
    if (sampleNow) await sample(run);
    if (saveNow) await save(run);
  }
  await save(run);
}

/** Adds to an error that ends a run what is left of the run. */
function withAdvice(error: unknown, run: Run): unknown {
  if (error instanceof AdawnError || error instanceof DataError) {
    const advice = error instanceof Diverged ? ', with a smaller --lr' : '';
    error.message += `; ${lastGood(run)}${advice}`;
  }
  return error;
}

/** Trains a prepared model until the end, the limit or the stop. */
async function trainModel(
  model: Ugatit,
  dataset: Dataset,
  config: RunConfig,
  options: LoopOptions,
  observers: readonly Observer[],
  stop: AbortSignal,
): Promise<RunEnd> {
  const folder = runFolder(options.out);
  const warn = warner(observers);
  const step = await prepareModel(model, config, folder, options.resume, warn);
  if (options.resume) await rewindMetrics(folder.metrics, step);
  if (step >= config.iterations) return { step, complete: true, folder };
  const samples = await samplePictures(dataset, config, warn);
  const session = await openSession(model, (done, total) => {
    for (const o of observers) o.compiling?.(done, total);
  });
  const loader = makeLoader(dataset, config, options, step, warn);
  const all = [metricsFile(folder.metrics), ...observers];
  const run: Run = {
    ...{ config, options, folder, session, loader, samples, observers: all },
    ...{ step, checked: step, saved: step },
  };
  try {
    await iterate(run, stop);
    return { step: run.step, complete: run.step >= config.iterations, folder };
  } catch (error) {
    throw withAdvice(error, run);
  } finally {
    await loader.close();
    await closeSession(session).catch(() => {});
  }
}

/**
 * Trains as configured, from the start or (`options.resume`) from the newest checkpoint in the run's folder.
 * @param stop aborting it saves and ends the run after the current iteration
 * @throws TrainingError, DataError, CheckpointError, DeviceError: one sentence each; what was saved stays.
 */
export async function train(
  device: Device,
  given: RunConfig,
  options: LoopOptions,
  observers: readonly Observer[],
  stop: AbortSignal,
): Promise<RunEnd> {
  try {
    checkConfig(given.model);
    const folder = runFolder(options.out);
    const dataset = await openDataset(given.data, { dataRoot: given.dataRoot, warn: warner(observers) });
    await expectRoom(device, given.model);
    const config = await settleKernels(device, given, options, observers);
    if (options.resume) await reopenRun(folder, config);
    else await createRun(folder, config);
    const model = await withinMemory(device, () => createUgatit(device, config.model), freeUgatit);
    try {
      return await trainModel(model, dataset, config, options, observers, stop);
    } finally {
      freeUgatit(model);
    }
  } finally {
    await tell(observers, 'end');
  }
}
