import './common/supervise.ts';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { CapacityError, closeDevice } from '../engine/index.ts';
import { openDevice } from '../engine/node.ts';
import { directionsOf, type Recipe } from '../model/recipe.ts';
import { DEFAULT_RECIPE, recipeNamed } from '../model/recipes.ts';
import { parseColour, type Rgb } from '../train/data/colour.ts';
import { decodeFile } from '../train/data/decode.ts';
import { DataError } from '../train/data/errors.ts';
import { composeGrid } from '../train/data/grid.ts';
import { leftOutSentences, type Skipped, skippedFor } from '../train/data/leftOut.ts';
import type { Picture } from '../train/data/picture.ts';
import { isNameRefused, writePng } from '../train/data/png.ts';
import { openTranslator, type PictureTranslator, type TranslatedPicture } from '../train/translate.ts';
import { gridFile, type Input, listInputs, planTargets, type Targets } from '../train/translationFiles.ts';
import { weightsFile } from '../train/weights.ts';
import { Progress } from './common/progress.ts';
import { loadRecipeOf, optionAsked } from './common/recipeFlags.ts';
import { checkValuesBut, failWithUsage, runCli, UsageError, wholeNumber } from './common/run.ts';

/** Looked at here and not by yargs, which would miss --weights before it names the wrong --weight. */
function checkArguments(argv: Record<string, unknown>): true {
  const missing = ['weights', 'input', 'output'].filter((name) => !(name in argv));
  if (missing.length > 0) {
    throw new UsageError(`--${missing.join(', --')} must be given (--help shows the usage)`);
  }
  return checkValuesBut('--input')(argv);
}

const common = yargs(hideBin(process.argv))
  .scriptName('npx tsx cli/translate.ts')
  .usage(
    '$0 --weights FILE|RUN --input PICTURE|FOLDER ... --output FOLDER\n\n' +
      'Translates pictures with a trained model. Files in the output folder are kept, except what an\n' +
      'earlier translation wrote.',
  )
  .option('weights', {
    group: 'What:',
    string: true,
    describe: "a run's folder (its newest checkpoint), a .safetensors file, or the authors' .pt (required)",
  })
  .option('input', {
    group: 'What:',
    string: true,
    array: true,
    describe: 'pictures, and folders of them (required)',
  })
  .option('output', { group: 'What:', string: true, describe: 'folder for the PNG files (required)' })
  .option('model', {
    group: 'How:',
    string: true,
    describe: "the file with a recipe of one's own (default: as the weights say)",
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
  .option('background', {
    group: 'How:',
    string: true,
    describe:
      'what shows through transparent pictures: white, "#808080" ... (by default their hidden colours)',
  })
  .option('adapter', { group: 'How:', string: true, describe: "part of a GPU adapter's name" })
  .example('$0 --weights results/cat2dog --input cats/ --output dogs/', 'every picture in cats/')
  .example(
    '$0 --weights authors.pt --input dog.jpg --output out --direction BtoA --heatmap',
    'one, the other way',
  )
  .example('$0 --weights w.safetensors --input *.png more/ --output out --background white', 'several')
  .check(checkArguments)
  .wrap(110)
  .strict()
  .version(false)
  .fail(failWithUsage);

/** All flags, with the directions in which a recipe translates. */
function flagsOf(recipe: Recipe) {
  const directions = [...directionsOf(recipe).keys()];
  const [first = 'AtoB'] = directions;
  return common.option('direction', {
    group: 'How:',
    string: true,
    // Of a recipe without any, whoever opens the weights says so.
    ...(directions.length > 0 ? { choices: directions } : {}),
    default: first,
    describe: 'from which pictures to which',
  });
}

type Parsed = Awaited<ReturnType<typeof flagsOf>['argv']>;
/** As checked: what is required is there. */
type Args = Parsed & { weights: string; input: string[]; output: string };

interface Done {
  readonly columns: Picture[][];
  readonly skipped: Skipped[];
  count: number;
}

/** Columns of the grid picture at most: more would make it unreadable. */
const GRID_COLUMNS = 16;

/** The picture, or null where it cannot be read; why is noted. */
async function readInput(
  file: string,
  needed: number,
  background: Rgb | undefined,
  skipped: Skipped[],
): Promise<Picture | null> {
  return decodeFile(file, { needed, background }).catch((error: unknown) => {
    if (!(error instanceof DataError)) throw error;
    skipped.push(skippedFor(file, error));
    return null;
  });
}

/** Writes what was made of one picture; false where the disk does not take its name, which is noted. */
async function writeOutput(
  targets: Targets,
  result: TranslatedPicture,
  skipped: Skipped[],
): Promise<boolean> {
  try {
    await writePng(targets.picture, result.output, 'translation');
    if (targets.heatmap && result.heatmap) await writePng(targets.heatmap, result.heatmap, 'translation');
    return true;
  } catch (error) {
    if (!isNameRefused(error)) throw error;
    skipped.push(skippedFor(targets.picture, error as DataError));
    return false;
  }
}

async function translateAll(
  translator: PictureTranslator,
  inputs: readonly Input[],
  targets: readonly Targets[],
  args: Args,
): Promise<Done> {
  const done: Done = { columns: [], skipped: [], count: 0 };
  const background = args.background === undefined ? undefined : await parseColour(args.background);
  const bar = new Progress(inputs.length, { unit: 'pictures' });
  try {
    for (const [i, { file }] of inputs.entries()) {
      const picture = await readInput(file, translator.options.size, background, done.skipped);
      const result = picture && (await translator.translate(picture));
      if (result && (await writeOutput(targets[i], result, done.skipped))) {
        const column = [
          result.input,
          ...(args.heatmap && result.heatmap ? [result.heatmap] : []),
          result.output,
        ];
        if (done.columns.length < GRID_COLUMNS) done.columns.push(column);
        done.count++;
      }
      bar.tick();
    }
  } finally {
    bar.stop();
  }
  return done;
}

const noneRead = (count: number) =>
  count === 1 ? 'the picture could not be translated' : `none of the ${count} pictures could be translated`;

await runCli(async () => {
  const weightsAsked = optionAsked('weights');
  const recipe = weightsAsked
    ? await loadRecipeOf(weightsAsked, optionAsked('model'))
    : recipeNamed(DEFAULT_RECIPE);
  const args = (await flagsOf(recipe).parse()) as Args;
  if (args.size !== undefined) wholeNumber('size', args.size, 8);
  if (args.background !== undefined) await parseColour(args.background); // refused before anything is read
  const { pictures, skipped } = await listInputs(args.input);
  const targets = await planTargets(pictures, args);
  const weights = await weightsFile(args.weights, (message) => console.error(message));
  const device = await openDevice({ adapter: args.adapter });
  try {
    const warn = (message: string) => console.error(`warning: ${message}`);
    const translator = await openTranslator(device, weights, args.direction, args.size, warn);
    if (args.heatmap && !translator.hasHeatmap) {
      throw new UsageError(`--heatmap: ${recipe.title} does not show where it looks: leave it out`);
    }
    const done = await translateAll(translator, pictures, targets, args);
    translator.close();
    const all = [...skipped, ...done.skipped];
    for (const sentence of leftOutSentences(all)) console.error(sentence);
    if (done.count === 0) throw new DataError(noneRead(pictures.length));
    if (args.grid) {
      const rows = done.columns[0].map((_, r) => done.columns.map((column) => column[r]));
      await writePng(gridFile(args), composeGrid(rows, { gap: 2 }), 'translation');
    }
    const left = all.length > 0 ? `, ${all.length} left out` : '';
    console.log(`${done.count} translated${left}: ${args.output}`);
  } catch (error) {
    if (!(error instanceof CapacityError)) throw error;
    throw new UsageError(`${error.message}: use a smaller --size`, { cause: error });
  } finally {
    await closeDevice(device);
  }
});
