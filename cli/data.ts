import { existsSync } from 'node:fs';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { parseColour } from '../train/data/colour.ts';
import { resolveData, SPLITS } from '../train/data/dataPath.ts';
import { DataError } from '../train/data/errors.ts';
import { openDataset } from '../train/data/folder.ts';
import { contactSheet, inspectDataset, type SplitReport } from '../train/data/inspect.ts';
import { leftOutSentences, type Skipped } from '../train/data/leftOut.ts';
import type { PrepareOptions } from '../train/data/manifest.ts';
import { isMarked, writePng } from '../train/data/png.ts';
import { prepareAll } from '../train/data/prepare.ts';
import { demandNoPictures, planPreparation } from '../train/data/preparePlan.ts';
import { countPictures, pictureName, readPicture } from '../train/data/source.ts';
import { toyDataset } from '../train/data/toy/dataset.ts';
import { makeFolder } from '../train/formats/file.node.ts';
import { Progress } from './common/progress.ts';
import { checkValues, failWithUsage, runCli, UsageError, wholeNumber } from './common/run.ts';

interface DrawArguments {
  out: string;
  train: number;
  test: number;
  size: number;
  seed: number;
}

/** Writes the drawn data set as files. */
async function draw({ out, train, test, size, seed }: DrawArguments): Promise<void> {
  wholeNumber('train', train, 1);
  wholeNumber('test', test, 0);
  wholeNumber('size', size, 8);
  const data = toyDataset({ train, test, seed: wholeNumber('seed', seed, 0) });
  await demandNoPictures(out);
  const progress = new Progress(2 * (train + test), { label: 'drawing', unit: 'pictures' });
  for (const split of SPLITS) {
    const source = data[split];
    await makeFolder(join(out, split));
    for (let i = 0; i < countPictures(source); i++) {
      await writePng(join(out, split, pictureName(source, i)), await readPicture(source, i, size));
      progress.tick();
    }
  }
  progress.stop();
  console.log(
    `${out}: ${train} cats and ${train} dogs to train, ${test} and ${test} to test, ${size}x${size}`,
  );
}

interface InspectArguments {
  folder: string;
  dataRoot: string;
  sheet: string | undefined;
  examples: number;
  background: string | undefined;
}

/** Decodes everything and says what there is. */
async function inspect({ folder, sheet, ...options }: InspectArguments): Promise<void> {
  const { dataRoot, background } = options;
  const examples = wholeNumber('examples', options.examples, 0);
  const path = sheet ?? `${await nameFor(folder, dataRoot)}-sheet.png`;
  if (path !== '' && examples > 0) await demandOwnSheet(path);
  const warn = (message: string) => console.error(`warning: ${message}`);
  const opening = { need: [], unfinished: true, nameLeftOut: false, warn } as const;
  const data = await openDataset(folder, { dataRoot, background, ...opening });
  const total = SPLITS.reduce((sum, split) => sum + countPictures(data[split]), 0);
  if (total === 0) throw new DataError(nothingIn(folder, data.skipped));
  const progress = new Progress(total, { label: 'reading', unit: 'pictures' });
  const work = inspectDataset(data, { examples, thumb: 128, progress: () => progress.tick() });
  const reports = await work.finally(() => progress.stop());
  for (const report of reports) console.log(describe(report));
  printLeftOut(reports.flatMap((report) => report.leftOut));
  const picture = contactSheet(reports);
  if (!picture || path === '') return;
  await writePng(path, picture, 'contact sheet');
  console.log(`examples: ${path}`);
}

/** A file is replaced only where it is the contact sheet of an earlier look. */
async function demandOwnSheet(path: string): Promise<void> {
  if (!existsSync(path) || (await isMarked(path, 'contact sheet'))) return;
  throw new UsageError(
    `${path} is no contact sheet of adawn's and is kept: ` +
      'name another file with --sheet, or none with --sheet ""',
  );
}

async function nameFor(folder: string, dataRoot: string): Promise<string> {
  const location = await resolveData(folder, dataRoot);
  return location.kind === 'toy' ? folder : location.name;
}

function nothingIn(folder: string, skipped: readonly Skipped[]): string {
  const what = `${folder} holds no pictures that can be read in ${SPLITS.join(', ')}`;
  const how = 'see "npx tsx cli/data.ts prepare --help" for how to make a data set';
  return [`${what}: ${how}`, ...leftOutSentences(skipped).slice(0, 5)].join('\n  ');
}

function describe({ split, count, smallest, largest, oblong, leftOut }: SplitReport): string {
  const parts = [`${split}: ${count} picture${count === 1 ? '' : 's'}`];
  if (smallest && largest) {
    const [low, high] = [smallest.join('x'), largest.join('x')];
    parts.push(low === high ? low : `${low} to ${high}`);
  }
  if (oblong > 0) parts.push(`${oblong} not square (training squeezes them; "prepare" crops)`);
  if (leftOut.length > 0) parts.push(`${leftOut.length} left out`);
  return parts.join(', ');
}

function printLeftOut(skipped: readonly Skipped[]): void {
  for (const sentence of leftOutSentences(skipped)) console.log(`  ${sentence}`);
}

/** Aborted by Ctrl-C; again after a second (a key press can arrive as several signals) ends the process. */
function signalled(): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  const stop = () => {
    if (controller.signal.aborted && performance.now() - first > 1000) process.exit(130); // files are whole
    if (controller.signal.aborted) return;
    first = performance.now();
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return controller.signal;
}

interface PrepareArguments extends PrepareOptions {
  folders: string[];
}

/** Makes a data set from folders of pictures. */
async function prepare({ folders, size, test, seed, crop, background }: PrepareArguments): Promise<void> {
  if (folders.length < 2 || folders.length > 3) {
    throw new UsageError('prepare needs SRC_A SRC_B DST, or SRC DST (--help shows examples)');
  }
  wholeNumber('size', size, 8);
  wholeNumber('seed', seed, 0);
  if (!(test >= 0 && test < 1)) {
    throw new UsageError(`--test is a share of at least 0 and below 1, got ${test}`);
  }
  if (background !== undefined) await parseColour(background); // refused before anything is read
  const target = folders[folders.length - 1];
  const plan = await planPreparation(folders.slice(0, -1), target, { size, test, seed, crop, background });
  const total = plan.jobs.length;
  if (plan.made.size > 0)
    console.error(`${target}: going on, ${plan.made.size} of ${total} pictures are there`);
  const progress = new Progress(total, { label: 'preparing', unit: 'pictures', start: plan.made.size });
  const work = prepareAll(plan, () => progress.tick(), signalled());
  const { made, skipped, finished } = await work.finally(() => progress.stop());
  printLeftOut(skipped);
  if (!finished) {
    console.error(`${target}: stopped, ${made} of ${total} pictures are there; the same command goes on`);
    process.exitCode = 130;
  } else if (made === 0) throw new DataError('none of the pictures could be read');
  else console.log(`${target}: ${made} pictures of ${size}x${size}, ${skipped.length} left out`);
}

const epilogue = `Examples:
  $0 draw dataset/toy --train 400 --size 128
  $0 inspect dataset/selfie2anime
  $0 prepare photos/cats photos/dogs dataset/mycats --size 256 --test 0.1
  $0 prepare downloads/horse2zebra dataset/horse2zebra-128 --size 128`;

const background = {
  type: 'string',
  describe: 'what shows through transparent pictures: white, "#808080" ... (by default their hidden colours)',
} as const;

const number = (describe: string, value: number) => ({ type: 'number', describe, default: value }) as const;

await runCli(async () => {
  await yargs(hideBin(process.argv))
    .scriptName('npx tsx cli/data.ts')
    .usage('$0 COMMAND: draws, inspects and prepares picture data sets')
    .command(
      'draw <out>',
      'draw the embedded data set (cats and dogs) as PNG files in the standard layout',
      (y) =>
        y
          .positional('out', { type: 'string', demandOption: true, describe: 'folder to write to' })
          .option('train', number('training pictures per animal', 500))
          .option('test', number('test pictures per animal', 50))
          .option('size', number('width and height in pixels', 256))
          .option('seed', number('another seed draws other pictures', 1))
          .example(
            '$0 draw dataset/toy --train 400 --size 128',
            '400 cats, 400 dogs, and 50 of each to test',
          ),
      (args) => draw(args),
    )
    .command(
      'inspect <folder>',
      'count and decode the pictures of a data set, name the unreadable ones, write a contact sheet',
      (y) =>
        y
          .positional('folder', {
            type: 'string',
            demandOption: true,
            describe: 'a folder, or a name in --data-root',
          })
          .option('data-root', { type: 'string', default: 'dataset', describe: 'where data sets are' })
          .option('sheet', {
            type: 'string',
            describe: 'PNG to write; "" for none [default: NAME-sheet.png]',
          })
          .option('examples', number('examples per folder on the sheet', 10))
          .option('background', background)
          .example('$0 inspect dataset/mycats', 'and write mycats-sheet.png')
          .example('$0 inspect ./mycats --sheet ""', 'a folder beside you, without a sheet'),
      (args) => inspect(args),
    )
    .command(
      'prepare <folders..>',
      'make a data set from your pictures: split, crop to squares, resize; after a stop it goes on',
      (y) =>
        y
          .positional('folders', {
            type: 'string',
            array: true,
            demandOption: true,
            describe: 'SRC_A SRC_B DST, or SRC DST with the two folders (or the standard layout) in SRC',
          })
          .option('size', number('width and height in pixels', 256))
          .option('test', number('share of the pictures kept for testing', 0.1))
          .option('seed', number('decides which ones', 1))
          .option('crop', {
            type: 'boolean',
            default: true,
            describe: 'cut the middle square; --no-crop squeezes',
          })
          .option('background', background)
          .example('$0 prepare photos/cats photos/dogs dataset/mycats', 'two folders; again after a stop')
          .example('$0 prepare downloads/horse2zebra dataset/h2z-128 --size 128', 'a standard layout'),
      (args) => prepare(args),
    )
    // An empty --sheet means none.
    .check(({ sheet: _, ...others }) => checkValues(others))
    .demandCommand(1, 'a command is needed: draw, inspect or prepare')
    .epilogue(epilogue)
    .version(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .strict()
    .fail(failWithUsage)
    .exitProcess(false)
    .parseAsync();
});
