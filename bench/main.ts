import { accessSync, constants, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { Progress } from '../cli/common/progress.ts';
import { addRecipeFlags, modelFlag, recipeAsked, recipeOptions } from '../cli/common/recipeFlags.ts';
import { failWithUsage, runCli, UsageError } from '../cli/common/run.ts';
import {
  closeDevice,
  closeStopwatch,
  type Device,
  measureCeilings,
  openStopwatch,
  PRECISIONS,
  type Precision,
  rate,
  stampsAreSane,
  usePrecision,
} from '../engine/index.ts';
import { defaultMode, openDevice, TUNE_MODES, type TuneMode, tuneFor } from '../engine/node.ts';
import { checkOptions, defaultsOf, type Recipe } from '../model/recipe.ts';
import { stepOnPaper } from '../train/kernels.ts';
import { type BenchSize, benchCases } from './cases/index.ts';
import { forceable, forcedOf } from './force.ts';
import { headerOf, slugOf } from './header.ts';
import { writeLaunches } from './launchFile.ts';
import { paper, paperOptions } from './paper/command.ts';
import { tableHead, tableLine } from './report/table.ts';
import { resultsFolder, writeReport } from './report/write.ts';
import { type BenchRun, runCase } from './run.ts';
import { benchRecipe, printStep, reportStep } from './step.ts';
import { togglesOf } from './toggles.ts';
import type { Result } from './types.ts';

/** Samples, and milliseconds a sample and a competitor. */
const TIMING = {
  quick: { samples: 5, sampleMs: 5, budgetMs: 60 },
  full: { samples: 11, sampleMs: 40, budgetMs: 1500 },
};

/** Time stamps where they can be trusted, else the host's clock. */
async function trustedWatch(device: Device, quick: boolean): Promise<Omit<BenchRun, 'variants'>> {
  const stamped = openStopwatch(device);
  let watch = stamped;
  let ceilings = await measureCeilings(watch, { quick });
  if (stamped.stamps && !(await stampsAreSane(stamped, ceilings.fma.steps, 4))) {
    console.error('time stamps of this adapter disagree with the clock: using wall time');
    ceilings.close();
    closeStopwatch(stamped);
    watch = openStopwatch(device, false);
    ceilings = await measureCeilings(watch, { quick });
  }
  return { watch, ceilings, timing: TIMING[quick ? 'quick' : 'full'] };
}

interface BenchArgs {
  readonly filter?: string;
  readonly size: string;
  readonly json?: string;
  readonly list: boolean;
  readonly variants: boolean;
  readonly tune?: TuneMode;
  readonly adapter?: string;
  readonly out?: string;
}

interface DeviceArgs {
  readonly adapter?: string;
  readonly precision?: Precision;
}

async function withDevice(
  { adapter, precision = 'full', toggles }: DeviceArgs & { toggles?: readonly string[] },
  work: (device: Device) => Promise<void>,
): Promise<void> {
  const device = await openDevice({ adapter, exactStamps: true, mixed: precision === 'mixed', toggles });
  try {
    usePrecision(device, precision);
    await work(device);
  } finally {
    await closeDevice(device);
  }
}

/** Has the device use the best kernels for what `work` records, as training does for its layers. */
async function tuneWork(device: Device, mode: TuneMode, work: (paper: Device) => void): Promise<void> {
  await tuneFor(device, mode, work, {
    warn: (message) => console.error(`warning: ${message}`),
    onProgress: (done, total, key) => console.error(`timing kernels ${done}/${total} ${key}`),
  });
}

async function benchmark(device: Device, args: BenchArgs): Promise<void> {
  const size = args.size as BenchSize;
  const wanted = new RegExp(args.filter ?? '', 'i');
  const cases = benchCases(size, device).filter((c) => wanted.test(`${c.op} ${c.name} ${c.pass}`));
  if (cases.length === 0) throw new UsageError(`--filter ${args.filter}: no case has that name (--list)`);
  if (args.list) {
    for (const c of cases) console.log(`${c.name.padEnd(30)} ${c.pass.padEnd(15)} ${c.shape}`);
    return;
  }
  await tuneWork(device, args.tune ?? defaultMode(device), (paper) => {
    for (const c of cases) c.onPaper?.(paper);
  });
  console.error(`${device.name}: measuring its ceilings`);
  const bench = { ...(await trustedWatch(device, size === 'quick')), variants: args.variants };
  const { watch } = bench;
  const [load] = loadavg();
  if (load > cpus().length / 2) {
    console.error(`the load of this machine is ${load.toFixed(1)}: other work spoils the times`);
  }
  const { fma, copy, launchUs } = bench.ceilings;
  console.log(
    `${device.name}: ${rate(fma.work, fma.timing.min).toFixed(1)} GFLOP/s (${fma.name}), ` +
      `${rate(copy.work, copy.timing.min).toFixed(1)} GB/s (${copy.name}), ` +
      `${launchUs.toFixed(1)} µs a launch`,
  );
  const header = headerOf(device, bench.ceilings, size, watch.stamps !== null);
  console.log(tableHead);
  const progress = new Progress(cases.length, { unit: 'cases', lineSeconds: 60 });
  const results: Result[] = [];
  for (const c of cases) {
    const found = await runCase(c, bench);
    results.push(...found);
    progress.stop();
    for (const result of found) console.log(tableLine(result));
    progress.tick(`${c.name} ${c.pass}`);
  }
  progress.stop();
  bench.ceilings.close();
  closeStopwatch(watch);
  if (args.json) writeFileSync(args.json, `${JSON.stringify({ header, results }, null, 1)}\n`);
  // A part of the cases is no report.
  const folder =
    args.out ??
    (args.filter ? null : resultsFolder(slugOf(device) + (device.precision === 'mixed' ? '-mixed' : '')));
  if (folder) {
    writeReport(folder, { header, results });
    console.log(`the page is ${folder}/README.md`);
  }
  if (results.some(({ wrong }) => wrong)) process.exitCode = 1;
}

const TUNE = {
  choices: TUNE_MODES,
  defaultDescription: 'auto on a GPU, off on a processor',
  describe: 'time the kernels of each layer against each other first',
};

const stepOptions = (recipe: Recipe) => (command: Argv) =>
  addRecipeFlags(command, recipe)
    .option('model', modelFlag())
    .option('iterations', { number: true, default: 5, describe: 'iterations to time' })
    .option('tune', TUNE)
    .option('profile', { boolean: true, default: false, describe: 'kernel by kernel' })
    .option('launches', {
      string: true,
      describe: 'write every launch, for `paper --against` (needs time stamps)',
    })
    .option('toggles', { string: true, describe: "Dawn's toggles to enable: disable_robustness,..." })
    .option('force', { string: true, describe: `ways nobody has chosen from yet: ${forceable}` })
    .example('$0 step --profile', 'where an iteration spends its time')
    .example('$0 step --size 64 --ch 16 --dis-layers 5,4', "the peers' small networks")
    .example('$0 step --size 256 --ch 64 --launches h100.json', 'launch by launch, to set beside `paper`');

type StepArgs = Awaited<ReturnType<ReturnType<typeof stepOptions>>['argv']> &
  DeviceArgs & { readonly json?: string };

async function timeStep(recipe: Recipe, args: StepArgs): Promise<void> {
  const file = args.launches;
  const toggles = togglesOf(args.toggles);
  const forced = forcedOf(args.force);
  // Minutes of measuring shall not end in a folder that is not there.
  if (file) accessSync(dirname(file), constants.W_OK);
  const config = recipeOptions(recipe, args, defaultsOf(recipe));
  checkOptions(recipe, config);
  await withDevice({ ...args, toggles }, async (device) => {
    const { precision } = device;
    device.variants = forced;
    await tuneWork(device, args.tune ?? defaultMode(device), (paper) => stepOnPaper(paper, recipe, config));
    const watch = openStopwatch(device);
    if (file && !watch.stamps)
      throw new UsageError('--launches needs time stamps, which this adapter has not');
    const { report, compile_ms, rows } = await reportStep(watch, recipe, config, args.iterations);
    console.log(`${device.name}, ${recipe.title} ${recipe.describe(config)}, precision ${precision}`);
    console.log(printStep(report, args.profile));
    if (args.json) writeFileSync(args.json, `${JSON.stringify({ config, precision, ...report }, null, 1)}\n`);
    if (file)
      await writeLaunches(file, watch, { ...report, compile_ms, recipe: recipe.name, config, toggles, rows });
    closeStopwatch(watch);
  });
}

const cliOf = (recipe: Recipe) =>
  yargs(hideBin(process.argv))
    .scriptName('npm run bench --')
    .option('adapter', { string: true, describe: "part of a GPU adapter's name" })
    .option('precision', {
      choices: PRECISIONS,
      defaultDescription: 'full',
      describe: 'mixed: convolutions multiply 16-bit floats and add 32-bit ones',
    })
    .option('json', { string: true, describe: 'write the records to this file' })
    .command(
      '$0',
      'Measures this adapter, then every kernel: checked against float64, then timed beside its naive twin.',
      (command) =>
        command
          .option('filter', { string: true, describe: 'only cases that match (a regular expression)' })
          .option('size', {
            choices: ['quick', 'full'] as const,
            default: 'full' as const,
            describe: 'full: the shapes of 256x256 training; quick: small ones, in two minutes',
          })
          .option('out', {
            string: true,
            defaultDescription: 'bench/results/ADAPTER, without --filter',
            describe: 'folder of the page with its charts',
          })
          .option('tune', TUNE)
          .option('variants', {
            boolean: true,
            default: false,
            describe: 'every kernel that can compute a layer, not the chosen one alone',
          })
          .option('list', { boolean: true, default: false, describe: 'name the cases and end' })
          .example('$0 --size quick', 'see that all is right, in two minutes')
          .example('$0 --filter "conv3x3_256"', 'one layer')
          .example('$0 --json bench.json', 'everything; a page is written to bench/results/'),
      (args) => runCli(() => withDevice(args, (device) => benchmark(device, args))),
    )
    .command(
      'step',
      'Times the whole training iteration, op by op, and the share of the host.',
      stepOptions(benchRecipe(recipe)),
      (args) => runCli(() => timeStep(benchRecipe(recipe), args)),
    )
    .command(
      'paper',
      'What to expect of an iteration on a GPU that is not at hand: every launch, its work and its time.',
      paperOptions(recipe),
      (args) => runCli(() => paper(recipe, args)),
    )
    .wrap(110)
    .strict()
    .version(false)
    .fail(failWithUsage);

await runCli(async () => {
  await cliOf(await recipeAsked()).parseAsync();
});
