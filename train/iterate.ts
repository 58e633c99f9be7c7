import { AdawnError } from '../engine/errors.ts';
import { checkDevice } from '../engine/index.ts';
import { saveCheckpoint } from './checkpoint.ts';
import type { Loader } from './data/loader.ts';
import type { Environment } from './environment.ts';
import { TrainingError } from './errors.ts';
import { type Observer, type StepRecord, tell, warner } from './observers.ts';
import type { LoopOptions, RunConfig } from './options.ts';
import { checkpointPath, pruneCheckpoints, type RunFolder, samplePath } from './runFolder.ts';
import { type SamplePictures, writeSampleGrid } from './samples.ts';
import { learningRate } from './schedule.ts';
import { IN_FLIGHT, readNews, runFirstStep, runStep, type Session, type StepNews } from './session.ts';
import { isStop, orStop } from './stopping.ts';

/** Observers hear of the losses this often (milliseconds) at most, however short the steps are. */
const TELL_EVERY_MS = 500;

/** A run while it goes. */
export interface Run {
  readonly config: RunConfig;
  readonly environment: Environment;
  readonly options: LoopOptions;
  readonly folder: RunFolder;
  readonly session: Session;
  readonly loader: Loader;
  readonly samples: SamplePictures;
  readonly observers: readonly Observer[];
  /** The step that it began after. */
  readonly start: number;
  /** Steps submitted. */
  step: number;
  /** Steps whose losses were read, and found finite. */
  checked: number;
  saved: number;
  /** Losses that observers have not heard of. */
  news: StepRecord[];
  /** When they last heard of some. */
  told: number;
}

/** What is left of a run that failed, and how to go on. */
function lastGood({ folder, saved }: Run): string {
  return saved > 0
    ? `the last good checkpoint is ${checkpointPath(folder, saved)}: go on from it with --resume`
    : 'no checkpoint was written yet: start again';
}

/** Steps and weights that are not finite any more. */
class Diverged extends TrainingError {}

const rateOf = ({ iterations, lr, decay }: RunConfig, step: number) =>
  learningRate(step, iterations, lr, decay);

async function tellNews(run: Run): Promise<void> {
  const { news } = run;
  run.news = [];
  run.told = performance.now();
  if (news.length > 0) await tell(run.observers, 'steps', news);
}

/** The first number of a step that is not finite, in words; null where all are. */
function problemOf({ losses, lost }: StepNews): string | null {
  const bad = Object.entries(losses).find(([, value]) => !Number.isFinite(value));
  if (bad) return `loss ${bad[0]} became ${bad[1]}`;
  return lost.length > 0 ? `weights of ${lost.join(' and ')} became NaN or infinite` : null;
}

/**
 * Reads the news of all but the last `ahead` steps that were submitted, and stops the run at the first with a
 * number that is not finite.
 */
async function inspect(run: Run, ahead = 0): Promise<void> {
  while (run.step - run.checked > ahead) {
    const step = run.checked + 1;
    const [news] = await readNews(run.session, run.step - step);
    const problem = problemOf(news);
    if (problem) {
      await tellNews(run);
      throw new Diverged(`${problem} at iteration ${step}`);
    }
    run.news.push({ step, lr: rateOf(run.config, step), losses: news.losses });
    run.checked = step;
  }
  if (ahead === 0 || performance.now() - run.told > TELL_EVERY_MS) await tellNews(run);
}

async function save(run: Run): Promise<void> {
  const { step, config, environment } = run;
  if (run.saved === step) return;
  await inspect(run);
  const path = checkpointPath(run.folder, step);
  await saveCheckpoint(path, run.session.model, { step, config, environment }).catch((error) => {
    throw error instanceof TrainingError
      ? new Diverged(`${error.message} at iteration ${step}`, { cause: error })
      : error;
  });
  run.saved = step;
  await pruneCheckpoints(run.folder, run.options.keep);
  await tell(run.observers, 'checkpoint', step, path);
}

/** Writes the sample grids. That they cannot be made or written is no reason to end a run. */
async function sample(run: Run, stop: AbortSignal): Promise<void> {
  const files: string[] = [];
  const { model } = run.session;
  try {
    for (const [direction, way] of Object.entries(model.recipe.ways)) {
      const path = samplePath(run.folder, direction, run.step);
      await writeSampleGrid(model, way, run.samples, path, stop);
      files.push(path);
    }
  } catch (error) {
    checkDevice(model.device);
    if (isStop(error, stop)) return;
    if (!(error instanceof AdawnError)) throw error;
    warner(run.observers)(`no sample pictures at iteration ${run.step}: ${error.message}`);
    return;
  }
  await tell(run.observers, 'sample', run.step, files);
}

const isDue = (step: number, every: number) => every > 0 && step % every === 0;

/** Submits the next step once its pictures are there. */
async function advance(run: Run, stop: AbortSignal): Promise<void> {
  const { session, config, loader, start } = run;
  const batch = await orStop(loader.next(), stop);
  const number = run.step + 1;
  const rate = rateOf(config, number);
  if (run.step === start) await runFirstStep(session, batch, number, rate, () => stop.throwIfAborted());
  else runStep(session, batch, number, rate);
  run.step = number;
}

async function iterate(run: Run, stop: AbortSignal): Promise<void> {
  const { options } = run;
  const last = Math.min(run.config.iterations, run.start + options.stopAfter);
  while (run.step < last && !stop.aborted) {
    await advance(run, stop);
    const sampleNow = isDue(run.step, options.sampleEvery) || run.step === last;
    const saveNow = isDue(run.step, options.saveEvery) || run.step === last;
    await inspect(run, sampleNow || saveNow ? 0 : IN_FLIGHT - 1);
    if (saveNow) await save(run);
    if (sampleNow) await sample(run, stop);
  }
}

/** Adds to an error that ends a run what is left of the run. */
function withAdvice(error: unknown, run: Run): unknown {
  if (error instanceof AdawnError) {
    const advice = error instanceof Diverged ? ', with a smaller --lr' : '';
    error.message += `; ${lastGood(run)}${advice}`;
  }
  return error;
}

/**
 * Trains until the schedule's end, the limit or the stop, and saves. Whatever else ends the run, the steps
 * that were computed are saved first, unless their numbers are not finite.
 */
export async function iterateAndSave(run: Run, stop: AbortSignal): Promise<void> {
  try {
    await iterate(run, stop).catch((error) => {
      if (!isStop(error, stop)) throw error;
    });
    await save(run);
  } catch (error) {
    if (!(error instanceof Diverged)) await save(run).catch(() => {}); // the first failure is the one to tell
    throw withAdvice(error, run);
  }
}
