import './common/supervise.ts';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { DeviceError } from '../engine/errors.ts';
import {
  closeDevice,
  closeStopwatch,
  computesRight,
  type Device,
  measureCeilings,
  openStopwatch,
  PRECISIONS,
  type Precision,
  rate,
  usePrecision,
} from '../engine/index.ts';
import { adapterMemory, openDevice } from '../engine/node.ts';
import { type CommonOptions, checkOptions, defaultsOf, type Recipe } from '../model/recipe.ts';
import { fittingOptions, gib, type MemoryNeed, tryNeed } from '../train/memoryPlan.ts';
import { addRecipeFlags, modelFlag, recipeAsked, recipeOptions } from './common/recipeFlags.ts';
import { checkValues, failWithUsage, runCli } from './common/run.ts';
import { driverAdvice } from './common/system.ts';

const plain = yargs(hideBin(process.argv))
  .scriptName('npx tsx cli/doctor.ts')
  .usage(
    '$0 [--plan [options]]\n\nWhich adapter is used, whether it computes right, and how fast it is. ' +
      'With --plan: the GPU memory training would need, without running it.',
  )
  .option('adapter', { string: true, describe: "part of a GPU adapter's name" })
  .option('json', { boolean: true, default: false, describe: 'print JSON' })
  .option('plan', { group: 'Plan:', boolean: true, default: false, describe: 'plan the memory of training' })
  .option('model', modelFlag({ group: 'Plan:', what: 'what would be trained' }))
  .option('precision', {
    group: 'Plan:',
    choices: PRECISIONS,
    default: 'full' as Precision,
    describe: 'mixed: convolutions multiply 16-bit floats',
  })
  .example('$0', 'is this machine ready?')
  .example('$0 --plan --size 256 --ch 64 --full', 'does full-size training fit?')
  .check(checkValues)
  .wrap(110)
  .strict()
  .version(false)
  .fail(failWithUsage);

type Args = Awaited<typeof plain.argv>;
type Row = readonly [string, string];

const LIMITS = [
  ['maxStorageBufferBindingSize', 'largest binding'],
  ['maxBufferSize', 'largest buffer'],
  ['maxComputeWorkgroupStorageSize', 'workgroup memory'],
  ['maxComputeInvocationsPerWorkgroup', 'invocations a workgroup'],
  ['maxStorageBuffersPerShaderStage', 'storage buffers a kernel'],
  ['maxTextureDimension2D', 'side of a texture'],
] as const;

const isBytes = (name: string) => /Size$/.test(name);

function size(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : gib(bytes);
}

function describeAdapter(device: Device): Row[] {
  const { limits, features } = device.gpu;
  const subgroups = device.subgroupSize > 0 ? ` (subgroups of ${device.subgroupSize})` : '';
  const list = ['subgroups', 'shader-f16', 'timestamp-query'].filter((f) => features.has(f));
  return [
    ['system', `Node ${process.version}, ${process.platform} ${process.arch}`],
    ['adapter', `${device.name}${device.isCpu ? ' (the processor plays a GPU)' : ''}`],
    ['features', `${list.join(', ') || 'none of the optional ones'}${subgroups}`],
    ...LIMITS.map(([name, label]): Row => [label, isBytes(name) ? size(limits[name]) : `${limits[name]}`]),
  ];
}

async function describeSpeed(device: Device): Promise<Row[]> {
  const watch = openStopwatch(device);
  const right = await computesRight(device);
  if (!right) throw new DeviceError(`${device.name} computes wrong results: update its driver`);
  const { fma, copy, launchUs, close } = await measureCeilings(watch, { quick: true });
  close();
  closeStopwatch(watch);
  return [
    ['kernels', 'compute the right answer'],
    ['arithmetic', `${rate(fma.work, fma.timing.min).toFixed(1)} GFLOP/s (multiply-adds, ${fma.name})`],
    ['bandwidth', `${rate(copy.work, copy.timing.min).toFixed(1)} GB/s (copy, read and written)`],
    ['a launch', `${launchUs.toFixed(1)} µs`],
  ];
}

function describeNeed(need: MemoryNeed): Row[] {
  const above = ((need.activations / need.lowerBound - 1) * 100).toFixed(1);
  return [
    ['weights', gib(need.weights)],
    ['Adam', gib(need.adam)],
    ['gradients', gib(need.gradients)],
    ['activations', `${gib(need.activations)} (${above} % above the lower bound, ${need.launches} launches)`],
    ['sample grids', gib(need.samples)],
    ['in all', gib(need.total)],
  ];
}

function optionsOf(recipe: Recipe, args: Args): CommonOptions {
  const options = recipeOptions(recipe, args, defaultsOf(recipe));
  checkOptions(recipe, options);
  return options;
}

async function describePlan(device: Device, recipe: Recipe, options: CommonOptions): Promise<Row[]> {
  const rows: Row[] = [
    ['training', `${recipe.title} ${recipe.describe(options)}, ${device.precision}, on ${device.name}`],
  ];
  const result = tryNeed(device, recipe, options);
  const room = await adapterMemory(device);
  rows.push(['memory', room ? `${gib(room.bytes)} (${room.source})` : 'of this adapter unknown']);
  if ('need' in result) rows.push(...describeNeed(result.need));
  else rows.push(['impossible', result.reason]);
  const fits = 'need' in result && (!room || result.need.total <= room.bytes);
  rows.push(['verdict', fits ? 'fits' : 'does not fit']);
  if (!fits) {
    const fitting = fittingOptions(device, recipe, options, room?.bytes ?? Number.POSITIVE_INFINITY);
    rows.push(['would fit', fitting.join(', ') || 'none of the milder options']);
  }
  return rows;
}

function print(rows: readonly Row[], json: boolean): void {
  if (json) {
    console.log(JSON.stringify(Object.fromEntries(rows), null, 2));
    return;
  }
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, value] of rows) console.log(`${label.padEnd(width)}  ${value}`);
}

async function open({ adapter, precision }: Args): Promise<Device> {
  try {
    return await openDevice({ adapter, mixed: precision === 'mixed' });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    const message = error.message.replace(/: run `npm run setup`.*$/s, '');
    throw new DeviceError([message, ...driverAdvice()].join('\n  '), { cause: error });
  }
}

await runCli(async () => {
  const recipe = await recipeAsked();
  const args = await addRecipeFlags(plain, recipe).parse();
  const options = optionsOf(recipe, args);
  const device = await open(args);
  try {
    usePrecision(device, args.precision);
    const rows = args.plan
      ? await describePlan(device, recipe, options)
      : [...describeAdapter(device), ...(await describeSpeed(device))];
    print(rows, args.json);
  } finally {
    await closeDevice(device);
  }
});
