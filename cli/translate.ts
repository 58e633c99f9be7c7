import { existsSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { openDevice } from '../engine/device.node.ts';
import { closeDevice } from '../engine/device.ts';
import { decodeFile } from '../train/data/decode.ts';
import { DataError } from '../train/data/errors.ts';
import { scanFolder } from '../train/data/folder.ts';
import { composeGrid } from '../train/data/grid.ts';
import type { Picture } from '../train/data/picture.ts';
import { writePng } from '../train/data/png.ts';
import { openTranslator, type PictureTranslator } from '../train/translate.ts';
import { Progress } from './common/progress.ts';
import { checkValues, failWithUsage, runCli, UsageError } from './common/run.ts';

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

/** `sub/cat.jpg` becomes `sub/cat`; a second file of that stem keeps its ending: `sub/cat.png`. */
function outputName(file: string, root: string, taken: Set<string>): string {
  const path = relative(root, file);
  const stem = path.slice(0, path.length - extname(path).length);
  const name = taken.has(stem) ? path : stem;
  taken.add(name);
  return name;
}

interface Done {
  readonly columns: Picture[][];
  readonly skipped: string[];
  count: number;
}

/** Columns of the grid picture at most: more would make it unreadable. */
const GRID_COLUMNS = 16;

async function translateAll(
  translator: PictureTranslator,
  files: string[],
  root: string,
  args: Args,
): Promise<Done> {
  const done: Done = { columns: [], skipped: [], count: 0 };
  const bar = new Progress(files.length, { unit: 'pictures' });
  const taken = new Set<string>();
  for (const file of files) {
    try {
      const result = await translator.translate(await decodeFile(file));
      const target = join(args.output, outputName(file, root, taken));
      await mkdir(join(target, '..'), { recursive: true });
      await writePng(`${target}.png`, result.output);
      if (args.heatmap) await writePng(`${target}.heatmap.png`, result.heatmap);
      const column = [result.input, ...(args.heatmap ? [result.heatmap] : []), result.output];
      if (done.columns.length < GRID_COLUMNS) done.columns.push(column);
      done.count++;
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      done.skipped.push(error.message);
    }
    bar.tick();
  }
  bar.stop();
  return done;
}

await runCli(async () => {
  const args = await cli.parse();
  if (args.size !== undefined && !(Number.isInteger(args.size) && args.size >= 8)) {
    throw new UsageError(`--size must be a whole number of at least 8, got ${args.size}`);
  }
  const { files, root } = await listInput(args.input);
  const device = await openDevice({ adapter: args.adapter });
  try {
    const translator = await openTranslator(device, args.weights, args.direction, args.size);
    const done = await translateAll(translator, files, root, args);
    translator.close();
    for (const message of done.skipped) console.error(`skipped: ${message}`);
    if (done.count === 0) throw new DataError(`none of the ${files.length} pictures could be read`);
    if (args.grid) {
      const rows = done.columns[0].map((_, r) => done.columns.map((column) => column[r]));
      await writePng(join(args.output, 'grid.png'), composeGrid(rows, { gap: 2 }));
    }
    const left = done.skipped.length > 0 ? `, ${done.skipped.length} skipped` : '';
    console.log(`${done.count} translated${left}: ${args.output}`);
  } finally {
    await closeDevice(device);
  }
});
