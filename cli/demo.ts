import './common/supervise.ts';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { closeDevice, type Device } from '../engine/index.ts';
import { openDevice } from '../engine/node.ts';
import { DEFAULTS, type UgatitConfig } from '../model/ugatit/ugatit.ts';
import { type Dataset, openDataset } from '../train/data/folder.ts';
import { composeGrid } from '../train/data/grid.ts';
import type { Picture } from '../train/data/picture.ts';
import { writePng } from '../train/data/png.ts';
import { resizeBilinear } from '../train/data/resize.ts';
import { readPicture } from '../train/data/source.ts';
import { type RunEnd, train } from '../train/loop.ts';
import type { LoopOptions, RunConfig } from '../train/options.ts';
import { listCheckpoints } from '../train/runFolder.ts';
import { openTranslator } from '../train/translate.ts';
import { checkValues, failWithUsage, runCli, UsageError } from './common/run.ts';
import { progressObserver, stopOnSignals } from './common/training.ts';

/**
 * Small enough for two processor cores: 64x64 pictures, a quarter of the authors' channels, shallower
 * discriminators (theirs need 96x96), and a larger learning rate since there are hundreds of steps, not a
 * million.
 */
const MODEL: UgatitConfig = { ...DEFAULTS, size: 64, ch: 16, disLayers: [5, 4], camWeight: 100 };

const CONFIG: RunConfig = {
  data: 'toy-cat2dog',
  dataRoot: 'dataset',
  recipe: 'ugatit',
  model: MODEL,
  iterations: 800,
  lr: 5e-4,
  decay: true,
  seed: 1,
  augment: true,
  shuffle: true,
  init: null,
};

/** Pictures of each domain in the final sheet, and how much they are enlarged. */
const COLUMNS = 8;
const ENLARGE = 2;

const SHEET = 'demo.png';

/** A timer of Node's counts milliseconds in 31 bits. */
const MOST_MINUTES = Math.floor((2 ** 31 - 1) / 60_000);

const cli = yargs(hideBin(process.argv))
  .scriptName('npm run demo --')
  .usage('$0\n\nTrains U-GAT-IT light on cats and dogs that adawn draws itself, and translates some.')
  .option('out', {
    string: true,
    default: 'results/demo',
    describe: 'folder of the run; an earlier demo there goes, nothing else does',
  })
  .option('minutes', { number: true, default: 8, describe: 'train at most this long' })
  .option('adapter', { string: true, describe: "part of a GPU adapter's name" })
  .example('$0 --minutes 2', 'a quick look: shapes will be blurry')
  .check(checkValues)
  .wrap(110)
  .strict()
  .version(false)
  .fail(failWithUsage);

const enlarge = (p: Picture) => resizeBilinear(p, p.width * ENLARGE, p.height * ENLARGE);

/** Three rows: test pictures, where the generator looked, what it made of them. */
async function translatedRows(device: Device, weights: string, direction: 'AtoB' | 'BtoA', dataset: Dataset) {
  const translator = await openTranslator(device, weights, direction);
  const source = direction === 'AtoB' ? dataset.testA : dataset.testB;
  const rows: Picture[][] = [[], [], []];
  for (let i = 0; i < COLUMNS; i++) {
    const result = await translator.translate(await readPicture(source, i, CONFIG.model.size));
    [result.input, result.heatmap!, result.output].forEach((picture, r) => {
      rows[r].push(enlarge(picture));
    });
  }
  translator.close();
  return rows;
}

/** Writes the sheet people look at: cats to dogs above dogs to cats. */
async function writeSheet(device: Device, end: RunEnd): Promise<string> {
  const newest = (await listCheckpoints(end.folder)).at(-1)!;
  const dataset = await openDataset(CONFIG.data);
  const cats = await translatedRows(device, newest.path, 'AtoB', dataset);
  const dogs = await translatedRows(device, newest.path, 'BtoA', dataset);
  const path = join(end.folder.root, SHEET);
  const rowLabels = ['cat', 'attention', 'to dog', 'dog', 'attention', 'to cat'];
  await writePng(path, composeGrid([...cats, ...dogs], { gap: 3, rowLabels }));
  return path;
}

/** Says how the training ended; writes the sheet if there is something to show. */
async function report(device: Device, end: RunEnd, minutes: number, timeIsOver: boolean): Promise<void> {
  if (end.steps === 0) {
    const why = timeIsOver ? `${minutes} minutes were over` : 'it was stopped';
    console.log(`${why} before the first step: there is nothing to show`);
    if (!timeIsOver) process.exitCode ??= 130;
    return;
  }
  if (timeIsOver) {
    console.log(`${minutes} minutes are over: stopped at step ${end.step} of ${CONFIG.iterations}`);
  }
  const sheet = await writeSheet(device, end);
  console.log(`\nCats that became dogs, and dogs that became cats: ${sheet}`);
  console.log(`How they came about, step by step: ${end.folder.samples}`);
  console.log('Next, with your own pictures: npx tsx cli/data.ts prepare --help');
}

await runCli(async () => {
  const { out, minutes, adapter } = await cli.parse();
  if (!(minutes >= 0 && minutes <= MOST_MINUTES)) {
    throw new UsageError(`--minutes must be a number from 0 to ${MOST_MINUTES}, got ${minutes}`);
  }
  const stop = stopOnSignals();
  const device = await openDevice({ adapter });
  try {
    const options: LoopOptions = {
      ...{ out, resume: false, stopAfter: Number.POSITIVE_INFINITY, keep: 1, replace: [SHEET] },
      ...{ sampleEvery: 300, saveEvery: 300, tune: 'off' },
    };
    const time = AbortSignal.timeout(minutes * 60_000);
    const signal = AbortSignal.any([stop.signal, time]);
    const end = await train(device, CONFIG, options, [progressObserver(device, CONFIG, options)], signal);
    await report(device, end, minutes, time.aborted);
  } finally {
    stop.dispose();
    await closeDevice(device);
  }
});
