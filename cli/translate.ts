import { existsSync, statSync } from 'node:fs';
import { extname, join, relative, resolve } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { openDevice } from '../engine/device/device.node.ts';
import { closeDevice } from '../engine/device/device.ts';
import { decodeFile } from '../train/data/decode.ts';
import { DataError } from '../train/data/errors.ts';
import { scanFolder } from '../train/data/folder.ts';
import { composeGrid } from '../train/data/grid.ts';
import type { Picture } from '../train/data/picture.ts';
import { writePng } from '../train/data/png.ts';
import { openTranslator, type PictureTranslator } from '../train/translate.ts';
import { Progress } from './common/progress.ts';
import { checkValues, failWithUsage, runCli, UsageError, wholeNumber } from './common/run.ts';

const cli = yargs(hideBin(process.argv))
  .scriptName('npx tsx cli/translate.ts')
  .usage(
    '$0 --weights FILE --input PICTURE|FOLDER --output FOLDER\n\nTranslates pictures with a trained model.',
  )
  .option('weights', {
    group: 'What:',
    string: true,
    demandOption: true,
    describe: "a checkpoint of ours, a .safetensors file, or the authors' .pt",
  })
  .option('input', {
    group: 'What:',
    string: true,
    demandOption: true,
    describe: 'a picture, or a folder of them',
  })
  .option('output', {
    group: 'What:',
    string: true,
    demandOption: true,
    describe: 'folder for the PNG files',
  })
  .option('direction', {
    group: 'How:',
    choices: ['AtoB', 'BtoA'] as const,
    default: 'AtoB' as const,
    describe: 'which of the two generators',
  })
  .option('size', {
    group: 'How:',
    number: true,
    describe: 'side in pixels (default: as the model was trained)',
  })
  .option('heatmap', {
    group: 'How:',
    boolean: true,
    default: false,
    describe: 'also write NAME.heatmap.png',
  })
  .option('grid', {
    group: 'How:',
    boolean: true,
    default: false,
    describe: 'also write grid.png: input above output',
  })
  .option('adapter', { group: 'How:', string: true, describe: "part of a GPU adapter's name" })
  .example(
    '$0 --weights results/cat2dog/checkpoints/step_0010000.safetensors --input cats/ --output dogs/',
    'every picture in cats/',
  )
  .example(
    '$0 --weights authors.pt --input dog.jpg --output out --direction BtoA --heatmap',
    'one, the other way',
  )
  .check(checkValues)
  .wrap(110)
  .strict()
  .version(false)
  .fail(failWithUsage);

type Args = Awaited<ReturnType<typeof cli.parse>>;

/** Pictures to translate, and the folder their names are relative to. */
async function listInput(input: string): Promise<{ files: string[]; root: string }> {
  if (!existsSync(input)) throw new DataError(`--input ${input} does not exist`);
  if (!statSync(input).isDirectory()) return { files: [input], root: join(input, '..') };
  const files = await scanFolder(input);
  if (files.length === 0) throw new DataError(`--input ${input} holds no pictures`);
  return { files, root: input };
}

/** Files that are written for one picture. */
interface Targets {
  readonly picture: string;
  readonly heatmap: string | null;
}

/** `sub/cat.jpg` becomes `sub/cat.png`; where that is taken, `sub/cat.jpg.png`, and so on. */
function chooseTargets(file: string, root: string, args: Args, taken: Set<string>): Targets {
  const path = relative(root, file);
  const stem = path.slice(0, path.length - extname(path).length);
  for (let n = 0; ; n++) {
    const name = join(args.output, n === 0 ? stem : `${path}${n === 1 ? '' : `-${n}`}`);
    const targets = { picture: `${name}.png`, heatmap: args.heatmap ? `${name}.heatmap.png` : null };
    const both = Object.values(targets).filter((target) => target !== null);
    if (both.some((target) => taken.has(target))) continue;
    for (const target of both) taken.add(target);
    return targets;
  }
}

const gridFile = (args: Args) => join(args.output, 'grid.png');

/** Where every picture's translation goes. @throws UsageError where that would overwrite an input. */
function planOutput(files: string[], root: string, args: Args): Targets[] {
  const taken = new Set(args.grid ? [gridFile(args)] : []);
  const targets = files.map((file) => chooseTargets(file, root, args, taken));
  const inputs = new Set(files.map((file) => resolve(file)));
  const lost = [...taken].find((target) => inputs.has(resolve(target)));
  if (lost)
    throw new UsageError(`--output ${args.output} would overwrite ${lost}, an input: choose another folder`);
  return targets;
}

interface Done {
  readonly columns: Picture[][];
  readonly skipped: string[];
  count: number;
}

/** Columns of the grid picture at most: more would make it unreadable. */
const GRID_COLUMNS = 16;

/** The picture, or null where it cannot be read; why is noted. */
async function readInput(file: string, skipped: string[]): Promise<Picture | null> {
  return decodeFile(file).catch((error: unknown) => {
    if (!(error instanceof DataError)) throw error;
    skipped.push(error.message);
    return null;
  });
}

async function translateAll(
  translator: PictureTranslator,
  files: string[],
  targets: Targets[],
  args: Args,
): Promise<Done> {
  const done: Done = { columns: [], skipped: [], count: 0 };
  const bar = new Progress(files.length, { unit: 'pictures' });
  for (const [i, file] of files.entries()) {
    const picture = await readInput(file, done.skipped);
    if (picture) {
      const result = await translator.translate(picture);
      await writePng(targets[i].picture, result.output);
      if (targets[i].heatmap) await writePng(targets[i].heatmap, result.heatmap);
      const column = [result.input, ...(args.heatmap ? [result.heatmap] : []), result.output];
      if (done.columns.length < GRID_COLUMNS) done.columns.push(column);
      done.count++;
    }
    bar.tick();
  }
  bar.stop();
  return done;
}

const noneRead = (files: string[]) =>
  files.length === 1 ? 'the picture could not be read' : `none of the ${files.length} pictures could be read`;

await runCli(async () => {
  const args = await cli.parse();
  if (args.size !== undefined) wholeNumber('size', args.size, 8);
  const { files, root } = await listInput(args.input);
  const targets = planOutput(files, root, args);
  const device = await openDevice({ adapter: args.adapter });
  try {
    const translator = await openTranslator(device, args.weights, args.direction, args.size);
    const done = await translateAll(translator, files, targets, args);
    translator.close();
    for (const message of done.skipped) console.error(`skipped: ${message}`);
    if (done.count === 0) throw new DataError(noneRead(files));
    if (args.grid) {
      const rows = done.columns[0].map((_, r) => done.columns.map((column) => column[r]));
      await writePng(gridFile(args), composeGrid(rows, { gap: 2 }));
    }
    const left = done.skipped.length > 0 ? `, ${done.skipped.length} skipped` : '';
    console.log(`${done.count} translated${left}: ${args.output}`);
  } finally {
    await closeDevice(device);
  }
});
