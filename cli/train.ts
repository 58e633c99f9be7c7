import './common/supervise.ts';
import { basename, join } from 'node:path';
import { closeDevice } from '../engine/index.ts';
import { openDevice } from '../engine/node.ts';
import { checkOptions, type OptionSpec } from '../model/recipe.ts';
import { DEFAULT_RECIPE, recipeNamed } from '../model/recipes.ts';
import { sameData } from '../train/data/dataPath.ts';
import { train } from '../train/loop.ts';
import { changedOptions, defaultRun, type LoopOptions, type RunConfig, recipeOf } from '../train/options.ts';
import { readConfig, recipeOfFolder, runFolder } from '../train/runFolder.ts';
import { loadRecipe, recipeOptions } from './common/recipeFlags.ts';
import { runCli, UsageError, wholeNumber } from './common/run.ts';
import { type TrainArgs as Args, firstFlags, trainFlags } from './common/trainFlags.ts';
import { progressObserver, stopOnSignals } from './common/training.ts';

function notNegative(name: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw new UsageError(`--${name} must be 0 or more, got ${value}`);
  return value;
}

/** The run as asked for, options that were not given as in `base`. */
function configFrom(args: Args, base: RunConfig): RunConfig {
  const background = args.background ?? base.background;
  const number = (name: keyof Args & string, value: number) =>
    notNegative(name, (args[name] as number) ?? value);
  return {
    data: args.data ?? base.data,
    dataRoot: args['data-root'] ?? base.dataRoot,
    recipe: base.recipe,
    model: recipeOptions(recipeOf(base), args, base.model),
    iterations: wholeNumber('iterations', args.iterations ?? base.iterations, 1),
    lr: number('lr', base.lr),
    decay: args.decay ?? base.decay,
    seed: wholeNumber('seed', args.seed ?? base.seed, 0),
    augment: args.augment ?? base.augment,
    shuffle: args.shuffle ?? base.shuffle,
    ...(background === undefined ? {} : { background }),
    init: args.init ?? base.init,
    precision: args.precision ?? base.precision ?? 'full',
    ...(base.tuned ? { tuned: base.tuned } : {}),
  };
}

/** Options that a continuation may change; everything else must be as the run was started. */
const CHANGEABLE = ['iterations', 'lr', 'data', 'dataRoot'];

function demandSame(before: RunConfig, now: RunConfig, folder: string): void {
  const table = recipeOf(before).options as Record<string, OptionSpec<unknown>>;
  const mayChange = (name: string) => CHANGEABLE.includes(name) || table[name]?.mayChange;
  const changed = changedOptions(before, now).filter(({ name }) => !mayChange(name));
  if (changed.length === 0) return;
  const list = changed.map(({ name, before, now }) => `${name} ${before} (now ${now})`).join(', ');
  throw new UsageError(
    `the run in ${folder} was started with ${list}: leave these out, or use another --out`,
  );
}

/**
 * The run in `out`, continued: with its options, and those that were given. The folder of its pictures may be
 * written another way, or be another one.
 */
async function continued(args: Args, out: string): Promise<RunConfig> {
  const before = await readConfig(runFolder(out), (message) => console.error(`warning: ${message}`));
  const config = configFrom(args, before);
  demandSame(before, config, out);
  const { data, dataRoot, dataFolder } = before;
  if (!args.data && !args['data-root']) return { ...config, dataFolder };
  const same = await sameData({ data: dataFolder ?? data, dataRoot }, config);
  return same ? { ...config, data, dataRoot, dataFolder } : config;
}

/** The recipe of the run: the one asked for, a continued run's own, or the usual one. */
async function recipeAsked(): Promise<string> {
  const { model, out, resume } = firstFlags();
  if (model !== undefined) return loadRecipe(model);
  const own = resume && out ? await recipeOfFolder(runFolder(out)) : null;
  return loadRecipe(own ?? DEFAULT_RECIPE);
}

async function prepare(args: Args, recipe: string): Promise<{ config: RunConfig; options: LoopOptions }> {
  const name = args.data ? basename(args.data.replace(/[\\/]+$/, '')) : null;
  if (!name && !(args.resume && args.out)) {
    throw new UsageError('--data is missing: --data toy-cat2dog needs no pictures (--help shows the usage)');
  }
  const out = args.out ?? join('results', name!);
  const config = args.resume ? await continued(args, out) : configFrom(args, defaultRun(recipe));
  if (args.resume && args.model !== undefined && (config.recipe ?? DEFAULT_RECIPE) !== recipe) {
    throw new UsageError(
      `the run in ${out} was started with --model ${config.recipe ?? DEFAULT_RECIPE}: ` +
        'leave --model out, or use another --out',
    );
  }
  checkOptions(recipeOf(config), config.model);
  const options: LoopOptions = {
    out,
    resume: args.resume,
    stopAfter:
      args['stop-after'] === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('stop-after', args['stop-after'], 1),
    sampleEvery: wholeNumber('sample-every', args['sample-every'], 0),
    saveEvery: wholeNumber('save-every', args['save-every'], 0),
    keep: wholeNumber('keep', args.keep, 1),
    threads: args.threads === undefined ? undefined : wholeNumber('threads', args.threads, 0),
    tune: args.tune,
  };
  return { config, options };
}

await runCli(async () => {
  const recipe = await recipeAsked();
  const args = await trainFlags(recipeNamed(recipe)).parse();
  const { config, options } = await prepare(args, recipe);
  const stop = stopOnSignals();
  const device = await openDevice({
    adapter: args.adapter,
    exactStamps: true, // for the tuner, whose layers may take less than Dawn's usual step
    mixed: config.precision === 'mixed',
  });
  try {
    const observer = progressObserver(device, config, options);
    const end = await train(device, config, options, [observer], stop.signal);
    if (end.steps === 0 && !end.complete) {
      console.error(
        `stopped before the first step: ${args.resume ? 'nothing was added' : 'nothing was trained'}`,
      );
      process.exitCode ??= 130;
      return;
    }
    const done = end.complete ? ', done' : '';
    console.log(`step ${end.step}${done}: pictures, metrics and weights are in ${end.folder.root}`);
    if (!end.complete) console.log(`continue with: npx tsx cli/train.ts --resume --out ${end.folder.root}`);
  } finally {
    stop.dispose();
    await closeDevice(device);
  }
});
