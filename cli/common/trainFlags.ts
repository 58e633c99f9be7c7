import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { PRECISIONS } from '../../engine/index.ts';
import { TUNE_MODES } from '../../engine/node.ts';
import type { Recipe } from '../../model/recipe.ts';
import { DEFAULT_RECIPE, recipeNames } from '../../model/recipes.ts';
import { addRecipeFlags, early, optionAsked } from './recipeFlags.ts';
import { checkValues, failWithUsage } from './run.ts';

// Defaults are described, not set: a continued run must tell what was asked for from what was not.
const common = yargs(hideBin(process.argv))
  .scriptName('npx tsx cli/train.ts')
  .epilogue(
    'Ctrl-C saves and ends the run; so does the loss of its terminal. To have it go on without one:\n' +
      '  nohup npx tsx cli/train.ts ... > run.log 2>&1 &\n' +
      'or start it in tmux, or with systemd-run or setsid, with its output in a file.',
  )
  .option('data', {
    group: 'Data:',
    string: true,
    describe: 'data set: dataset/NAME, a path, or toy-cat2dog (drawn by adawn, nothing to download)',
  })
  .option('data-root', {
    group: 'Data:',
    string: true,
    defaultDescription: 'dataset',
    describe: 'where NAMEs are',
  })
  .option('augment', {
    group: 'Data:',
    boolean: true,
    defaultDescription: 'true',
    describe: 'flip and crop at random; --no-augment only resizes',
  })
  .option('shuffle', {
    group: 'Data:',
    boolean: true,
    defaultDescription: 'true',
    describe: 'a new order each epoch; --no-shuffle keeps them sorted',
  })
  .option('background', {
    group: 'Data:',
    string: true,
    defaultDescription: 'their hidden colours',
    describe: 'what shows through transparent pictures: white, "#808080" ...',
  })
  .option('threads', { group: 'Data:', number: true, describe: 'threads that decode pictures' })
  .option('model', {
    group: 'Model:',
    string: true,
    defaultDescription: DEFAULT_RECIPE,
    describe: `what is trained: ${recipeNames().join(', ')}, or a file of yours that exports a recipe`,
  })
  .option('init', {
    group: 'Model:',
    string: true,
    describe: "start from weights: .safetensors, or the authors' .pt",
  })
  .option('iterations', {
    group: 'Training:',
    number: true,
    defaultDescription: '1000000',
    describe: 'of the schedule',
  })
  .option('stop-after', {
    group: 'Training:',
    number: true,
    describe: 'end this run after so many more iterations',
  })
  .option('lr', { group: 'Training:', number: true, defaultDescription: '0.0001', describe: 'learning rate' })
  .option('decay', {
    group: 'Training:',
    boolean: true,
    defaultDescription: 'true',
    describe: 'the rate falls to 0 over the second half; --no-decay keeps it',
  })
  .option('seed', {
    group: 'Training:',
    number: true,
    defaultDescription: '0',
    describe: 'of all random numbers',
  })
  .option('tune', {
    group: 'Training:',
    choices: TUNE_MODES,
    defaultDescription: 'auto on a GPU, off on a processor',
    describe: 'time kernels against each other first (once per adapter and layer; then it is known)',
  })
  .option('precision', {
    group: 'Training:',
    choices: PRECISIONS,
    defaultDescription: 'full',
    describe: 'mixed: convolutions multiply 16-bit floats and add 32-bit ones',
  })
  .option('adapter', { group: 'Training:', string: true, describe: "part of a GPU adapter's name" })
  .option('out', {
    group: 'Results:',
    string: true,
    defaultDescription: 'results/DATA',
    describe: 'folder of the run',
  })
  .option('resume', {
    group: 'Results:',
    boolean: true,
    default: false,
    describe: 'continue the run in --out',
  })
  .option('sample-every', {
    group: 'Results:',
    number: true,
    default: 1000,
    describe: 'iterations between grids',
  })
  .option('save-every', {
    group: 'Results:',
    number: true,
    default: 1000,
    describe: 'iterations between checkpoints',
  })
  .option('keep', { group: 'Results:', number: true, default: 3, describe: 'checkpoints to keep' })
  .example('$0 --data toy-cat2dog --size 96 --ch 16 --iterations 2000', 'try it without any pictures')
  .example('$0 --data cat2dog --light', 'dataset/cat2dog/{trainA,trainB,testA,testB} at 256x256')
  .example('$0 --resume --out results/cat2dog', 'continue after a stop, a crash or Ctrl-C')
  .example('$0 --data cat2dog --init authors.pt', "start from weights trained with the authors' code")
  .example('$0 --data cat2dog --batch 2 --checkpoint-activations', 'a larger batch in less GPU memory')
  .check(checkValues)
  .wrap(110)
  .strict()
  .version(false)
  .fail(failWithUsage);

/** The model, the folder and whether it is a continuation, before any other flag is looked at. */
export function firstFlags(): { model?: string; out?: string; resume: boolean } {
  const { resume } = early().option('resume', { boolean: true, default: false }).parseSync();
  return { model: optionAsked('model'), out: optionAsked('out'), resume };
}

/** All flags of a training run of this recipe. */
export const trainFlags = (recipe: Recipe) =>
  addRecipeFlags(common, recipe).usage(
    `$0 --data NAME|PATH [options]\n\nTrains ${recipe.title} on two folders of unpaired pictures.`,
  );

export type TrainArgs = Awaited<typeof common.argv>;
