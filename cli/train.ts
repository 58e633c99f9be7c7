import './common/supervise.ts';
import { basename, join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { openDevice } from '../engine/device/device.node.ts';
import { closeDevice } from '../engine/device/device.ts';
import { PRECISIONS } from '../engine/device/precision.ts';
import { TUNE_MODES } from '../engine/measure/tuning.node.ts';
import { checkConfig } from '../model/ugatit/ugatit.ts';
import { train } from '../train/loop.ts';
import { DEFAULT_RUN, type LoopOptions, type RunConfig } from '../train/options.ts';
import { readConfig, runFolder } from '../train/runFolder.ts';
import { disLayersOf } from './common/model.ts';
import { checkValues, failWithUsage, runCli, UsageError, wholeNumber } from './common/run.ts';
import { progressObserver, stopOnSignals } from './common/training.ts';

// Defaults are described, not set: a continued run must tell what was asked for from what was not.
const cli = yargs(hideBin(process.argv))
  .scriptName('npx tsx cli/train.ts')
  .usage('$0 --data NAME|PATH [options]\n\nTrains U-GAT-IT on two folders of unpaired pictures.')
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
  .option('threads', { group: 'Data:', number: true, describe: 'threads that decode pictures' })
  .option('light', {
    group: 'Model:',
    boolean: true,
    defaultDescription: 'true',
    describe: 'the smaller generator',
  })
  .option('full', {
    group: 'Model:',
    boolean: true,
    describe: 'the full generator (1 GiB more weights at 256)',
  })
  .option('size', {
    group: 'Model:',
    number: true,
    defaultDescription: '256',
    describe: 'side of the pictures',
  })
  .option('ch', { group: 'Model:', number: true, defaultDescription: '64', describe: 'base channels' })
  .option('n-res', {
    group: 'Model:',
    number: true,
    defaultDescription: '4',
    describe: 'residual blocks a side',
  })
  .option('dis-layers', {
    group: 'Model:',
    string: true,
    defaultDescription: '7,5',
    describe: 'layers of the global and local discriminators (fewer for pictures below 96)',
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
  .option('batch', {
    group: 'Training:',
    number: true,
    defaultDescription: '1',
    describe: 'pictures a step and domain',
  })
  .option('lr', { group: 'Training:', number: true, defaultDescription: '0.0001', describe: 'learning rate' })
  .option('decay', {
    group: 'Training:',
    boolean: true,
    defaultDescription: 'true',
    describe: 'the rate falls to 0 over the second half; --no-decay keeps it',
  })
  .option('weight-decay', {
    group: 'Training:',
    number: true,
    defaultDescription: '0.0001',
    describe: 'of Adam',
  })
  .option('adv-weight', {
    group: 'Training:',
    number: true,
    defaultDescription: '1',
    describe: 'of the GAN loss',
  })
  .option('cycle-weight', {
    group: 'Training:',
    number: true,
    defaultDescription: '10',
    describe: 'of cycle loss',
  })
  .option('identity-weight', {
    group: 'Training:',
    number: true,
    defaultDescription: '10',
    describe: 'of identity',
  })
  .option('cam-weight', {
    group: 'Training:',
    number: true,
    defaultDescription: '1000',
    describe: 'of attention',
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
    describe: 'time kernels against each other first (at most 60 s, once per adapter)',
  })
  .option('checkpoint-activations', {
    group: 'Training:',
    boolean: true,
    defaultDescription: 'false',
    describe: 'less GPU memory for more time: residual blocks are computed twice; the same numbers',
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

type Args = Awaited<typeof cli.argv>;

function notNegative(name: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw new UsageError(`--${name} must be 0 or more, got ${value}`);
  return value;
}

/** The run as asked for, options that were not given as in `base`. */
function configFrom(args: Args, base: RunConfig): RunConfig {
  const { model } = base;
  if (args.light && args.full) throw new UsageError('choose one of --light and --full');
  const light = args.full ? false : (args.light ?? model.light);
  const number = (name: keyof Args & string, value: number) =>
    notNegative(name, (args[name] as number) ?? value);
  return {
    data: args.data ?? base.data,
    dataRoot: args['data-root'] ?? base.dataRoot,
    model: {
      light,
      size: args.size ?? model.size,
      ch: args.ch ?? model.ch,
      nRes: args['n-res'] ?? model.nRes,
      batch: args.batch ?? model.batch,
      disLayers: args['dis-layers'] ? disLayersOf(args['dis-layers']) : model.disLayers,
      weightDecay: number('weight-decay', model.weightDecay),
      advWeight: number('adv-weight', model.advWeight),
      cycleWeight: number('cycle-weight', model.cycleWeight),
      identityWeight: number('identity-weight', model.identityWeight),
      camWeight: number('cam-weight', model.camWeight),
      checkpointActivations: args['checkpoint-activations'] ?? model.checkpointActivations ?? false,
    },
    iterations: wholeNumber('iterations', args.iterations ?? base.iterations, 1),
    lr: number('lr', base.lr),
    decay: args.decay ?? base.decay,
    seed: wholeNumber('seed', args.seed ?? base.seed, 0),
    augment: args.augment ?? base.augment,
    shuffle: args.shuffle ?? base.shuffle,
    init: args.init ?? base.init,
    precision: args.precision ?? base.precision ?? 'full',
    ...(base.tuned ? { tuned: base.tuned } : {}),
  };
}

/** Options that a continuation may change; everything else must be as the run was started. */
const CHANGEABLE = new Set(['iterations', 'lr', 'dataRoot', 'checkpointActivations']);

function demandSame(before: RunConfig, now: RunConfig, folder: string): void {
  const flat = ({ model, ...rest }: RunConfig) => Object.entries({ precision: 'full', ...rest, ...model });
  const old = new Map(flat(before).map(([k, v]) => [k, JSON.stringify(v)]));
  const changed = flat(now).filter(([k, v]) => !CHANGEABLE.has(k) && old.get(k) !== JSON.stringify(v));
  if (changed.length === 0) return;
  const list = changed.map(([k, v]) => `${k} ${old.get(k)} (now ${JSON.stringify(v)})`).join(', ');
  throw new UsageError(
    `the run in ${folder} was started with ${list}: leave these out, or use another --out`,
  );
}

async function prepare(args: Args): Promise<{ config: RunConfig; options: LoopOptions }> {
  const name = args.data ? basename(args.data.replace(/[\\/]+$/, '')) : null;
  if (!name && !(args.resume && args.out)) {
    throw new UsageError('--data is missing: --data toy-cat2dog needs no pictures (--help shows the usage)');
  }
  const out = args.out ?? join('results', name!);
  const before = args.resume
    ? await readConfig(runFolder(out), (message) => console.error(`warning: ${message}`))
    : null;
  const config = configFrom(args, before ?? DEFAULT_RUN);
  if (before) demandSame(before, config, out);
  checkConfig(config.model);
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
  const args = await cli.parse();
  const { config, options } = await prepare(args);
  const stop = stopOnSignals();
  const device = await openDevice({
    adapter: args.adapter,
    exactStamps: true, // for the tuner, whose layers may take less than Dawn's usual step
    mixed: config.precision === 'mixed',
  });
  try {
    const observer = progressObserver(device, config, options);
    const end = await train(device, config, options, [observer], stop.signal);
    const done = end.complete ? ', done' : '';
    console.log(`step ${end.step}${done}: pictures, metrics and weights are in ${end.folder.root}`);
    if (!end.complete) console.log(`continue with: npx tsx cli/train.ts --resume --out ${end.folder.root}`);
  } finally {
    stop.dispose();
    await closeDevice(device);
  }
});
