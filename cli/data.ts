import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { DataError } from '../train/data/errors.ts';
import { openDataset, type Skipped, SPLITS } from '../train/data/folder.ts';
import { contactSheet, inspectDataset, type SplitReport } from '../train/data/inspect.ts';
import { writePng } from '../train/data/png.ts';
import { type PrepareOptions, planPreparation, preparePicture } from '../train/data/prepare.ts';
import { countPictures, pictureName, readPicture } from '../train/data/source.ts';
import { toyDataset } from '../train/data/toy/dataset.ts';
import { Progress } from './common/progress.ts';
import { failWithUsage, runCli, UsageError, wholeNumber } from './common/run.ts';

interface DrawArguments {
  out: string;
  train: number;
  test: number;
  size: number;
  seed: number;
}

/** Writes the drawn data set as files. */
async function draw({ out, train, test, size, seed }: DrawArguments): Promise<void> {
  const data = toyDataset({
    train: wholeNumber('train', train, 1),
    test: wholeNumber('test', test, 0),
    seed,
  });
  wholeNumber('size', size, 8);
  const progress = new Progress(2 * (train + test), { label: 'drawing', unit: 'pictures' });
  for (const split of SPLITS) {
    const source = data[split];
    await mkdir(join(out, split), { recursive: true });
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
}

/** Decodes everything and says what there is. */
async function inspect({ folder, dataRoot, sheet, examples }: InspectArguments): Promise<void> {
  wholeNumber('examples', examples, 0);
  const data = await openDataset(folder, { dataRoot, need: [], warn: () => {} });
  const total = SPLITS.reduce((sum, split) => sum + countPictures(data[split]), 0);
  if (total === 0) {
    throw new DataError(
      `${folder} holds no pictures in ${SPLITS.join(', ')}: see "prepare --help" for how to make them`,
    );
  }
  const progress = new Progress(total, { label: 'reading', unit: 'pictures' });
  const reports = await inspectDataset(data, { examples, thumb: 128, progress: () => progress.tick() });
  progress.stop();
  for (const report of reports) console.log(describe(report));
  printSkipped(reports.flatMap((report) => report.unreadable));
  const picture = contactSheet(reports);
  if (!picture || sheet === '') return;
  const path = sheet ?? `${data.name}-sheet.png`;
  await writePng(path, picture);
  console.log(`examples: ${path}`);
}

function describe({ split, count, smallest, largest, oblong, unreadable }: SplitReport): string {
  const parts = [`${split}: ${count} picture${count === 1 ? '' : 's'}`];
  if (smallest && largest) {
    const [low, high] = [smallest.join('x'), largest.join('x')];
    parts.push(low === high ? low : `${low} to ${high}`);
  }
  if (oblong > 0) parts.push(`${oblong} not square (training squeezes them; "prepare" crops)`);
  if (unreadable.length > 0) parts.push(`${unreadable.length} unreadable`);
  return parts.join(', ');
}

function printSkipped(skipped: readonly Skipped[]): void {
  for (const { file, problem } of skipped) console.log(`  left out: ${file} ${problem}`);
}

interface PrepareArguments extends PrepareOptions {
  folders: string[];
}

/** Makes a data set from folders of pictures. */
async function prepare({ folders, ...options }: PrepareArguments): Promise<void> {
  if (folders.length < 2 || folders.length > 3) {
    throw new UsageError('prepare needs SRC_A SRC_B DST, or SRC DST (--help shows examples)');
  }
  wholeNumber('size', options.size, 8);
  if (!(options.test >= 0 && options.test < 1)) {
    throw new UsageError(`--test is a share of at least 0 and below 1, got ${options.test}`);
  }
  const target = folders[folders.length - 1];
  const { jobs, skipped } = await planPreparation(folders.slice(0, -1), target, options);
  const bad: Skipped[] = [...skipped];
  const progress = new Progress(jobs.length, { label: 'preparing', unit: 'pictures' });
  let next = 0;
  const work = async () => {
    for (let job = jobs[next++]; job; job = jobs[next++]) {
      await preparePicture(job, options).catch((error: unknown) => {
        if (!(error instanceof DataError) || !error.message.startsWith(job.from)) throw error;
        bad.push({ file: job.from, problem: error.message.slice(job.from.length + 1) });
      });
      progress.tick();
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  progress.stop();
  printSkipped(bad);
  const made = jobs.length - (bad.length - skipped.length);
  if (made === 0) throw new DataError('none of the pictures could be read');
  console.log(`${target}: ${made} pictures of ${options.size}x${options.size}, ${bad.length} left out`);
}

const epilogue = `Examples:
  $0 draw dataset/toy --train 400 --size 128
  $0 inspect dataset/selfie2anime
  $0 prepare photos/cats photos/dogs dataset/mycats --size 256 --test 0.1
  $0 prepare downloads/horse2zebra dataset/horse2zebra-128 --size 128`;

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
          .option('seed', number('another seed draws other pictures', 1)),
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
          .option('examples', number('examples per folder on the sheet', 10)),
      (args) => inspect(args),
    )
    .command(
      'prepare <folders..>',
      'make a data set from your pictures: split, crop to squares, resize',
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
          }),
      (args) => prepare(args),
    )
    .demandCommand(1, 'a command is needed: draw, inspect or prepare')
    .epilogue(epilogue)
    .version(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .strict()
    .fail(failWithUsage)
    .exitProcess(false)
    .parseAsync();
});
