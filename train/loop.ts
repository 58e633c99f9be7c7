import type { Device } from '../engine/device.ts';
import { initialise } from '../model/network.ts';
import { createUgatit, freeUgatit, type Ugatit } from '../model/ugatit.ts';
import { loadCheckpoint, loadWeights, saveCheckpoint } from './checkpoint.ts';
import { type Dataset, openDataset } from './data/folder.ts';
import { createLoader, type Loader, type TestPicture } from './data/loader.ts';
import { TrainingError } from './errors.ts';
import { expectRoom } from './memoryPlan.ts';
import { metricsFile, type Observer, rewindMetrics, type StepRecord, tell } from './observers.ts';
import type { LoopOptions, RunConfig } from './options.ts';
import {
  checkpointPath,
  createRun,
  listCheckpoints,
  pruneCheckpoints,
  type RunFolder,
  runFolder,
  samplePath,
} from './runFolder.ts';
import { type SamplePictures, writeSampleGrid } from './samples.ts';
import { learningRate } from './schedule.ts';
import { closeSession, HISTORY_ROWS, openSession, readLosses, runStep, type Session } from './session.ts';

/** Pictures of each domain and split in a sample grid. */
const SAMPLE_COLUMNS = 5;

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

/** Brings the model to its first state: from the newest checkpoint, a file of weights, or the seed. */
async function prepareModel(model: Ugatit, config: RunConfig, folder: RunFolder, resume: boolean) {
  if (resume) {
    const newest = (await listCheckpoints(folder)).at(-1);
    if (newest) return loadCheckpoint(newest.path, model);
  }
  // The moments start at zero; weights that --init has not are those of the seed.
  initialise(model.device, [model.generators, model.discriminators], config.seed);
  if (config.init) await loadWeights(config.init, model);
  return 0;
}

function makeLoader(dataset: Dataset, config: RunConfig, options: LoopOptions, startStep: number): Loader {
  return createLoader({
    ...dataset,
    size: config.model.size,
    batch: config.model.batch,
    seed: config.seed,
    augment: config.augment,
    shuffle: config.shuffle,
    threads: options.threads,
    startStep,
  });
}

/** The first pictures of each split, resized: they do not come out of the training stream. */
async function samplePictures(dataset: Dataset, config: RunConfig): Promise<SamplePictures> {
  const { size } = config.model;
  const first = async (a: Dataset['testA'], b: Dataset['testB']) => {
    const loader = createLoader({ ...dataset, testA: a, testB: b, size, threads: 0, warn: () => {} });
    const pictures = await loader.loadTest(size, SAMPLE_COLUMNS);
    await loader.close();
    return pictures;
  };
  const train = await first(dataset.trainA, dataset.trainB);
  const test = await first(dataset.testA, dataset.testB);
  const join = (x: TestPicture[], y: TestPicture[]) => [...x, ...y];
  return { a: join(train.a, test.a), b: join(train.b, test.b) };
}

function lastGood(run: Run): string {
  return run.saved > 0
    ? `the last good checkpoint is ${checkpointPath(run.folder, run.saved)}; continue it with --resume`
    : 'no checkpoint was written yet: start again';
}

/** Reads the losses of the steps since the last call, and stops the run at the first that is not finite. */
async function inspect(run: Run): Promise<void> {
  const { config } = run;
  const rows = await readLosses(run.session);
  const records: StepRecord[] = rows.map((losses, i) => {
    const step = run.checked + i + 1;
    return { step, lr: learningRate(step, config.iterations, config.lr), losses };
  });
  const bad = records.findIndex(({ losses }) => Object.values(losses).some((v) => !Number.isFinite(v)));
  await tell(run.observers, 'steps', bad < 0 ? records : records.slice(0, bad));
  if (bad >= 0) {
    const { step, losses } = records[bad];
    const [name, value] = Object.entries(losses).find(([, v]) => !Number.isFinite(v))!;
    throw new TrainingError(
      `loss ${name} became ${value} at iteration ${step}: ${lastGood(run)}, with a smaller --lr`,
    );
  }
  run.checked = run.step;
}

async function save(run: Run): Promise<void> {
  if (run.saved === run.step) return;
  await inspect(run);
  const path = checkpointPath(run.folder, run.step);
  await saveCheckpoint(path, run.session.model, { step: run.step, config: run.config });
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
    runStep(session, batch, number, learningRate(number, config.iterations, config.lr));
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

/**
 * Trains as configured, from the start or (`options.resume`) from the newest checkpoint in the run's folder.
 * @param stop aborting it saves and ends the run after the current iteration
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
  const dataset = await openDataset(config.data, { dataRoot: config.dataRoot });
  await expectRoom(device, config.model);
  const model = createUgatit(device, config.model);
  if (!options.resume) await createRun(folder, config);
  const start = await prepareModel(model, config, folder, options.resume);
  if (options.resume) await rewindMetrics(folder.metrics, start);
  const samples = await samplePictures(dataset, config);
  const session = await openSession(model, (done, total) => {
    for (const o of observers) o.compiling?.(done, total);
  });
  const loader = makeLoader(dataset, config, options, start);
  const all = [metricsFile(folder.metrics), ...observers];
  const run: Run = {
    ...{ config, options, folder, session, loader, samples, observers: all },
    ...{ step: start, checked: start, saved: options.resume ? start : 0 },
  };
  try {
    await iterate(run, stop);
    return { step: run.step, complete: run.step >= config.iterations, folder };
  } finally {
    await tell(all, 'end');
    await loader.close();
    await closeSession(session).catch(() => {});
    freeUgatit(model);
  }
}
