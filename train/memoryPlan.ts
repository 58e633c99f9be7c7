import { AdawnError } from '../engine/errors.ts';
import { allocate, type Device, paperDevice, trace } from '../engine/index.ts';
import { adapterMemory } from '../engine/node.ts';
import { createModel, ensemblesOf, type Model } from '../model/model.ts';
import type { ParameterGroup } from '../model/parameters.ts';
import { type CommonOptions, checkOptions, flagOf, type OptionSpec, type Recipe } from '../model/recipe.ts';
import { TrainingError } from './errors.ts';
import { gridOf, inputShape } from './samples.ts';
import { traceTraining } from './session.ts';

/** GPU memory of a training run in bytes, computed without running it. */
export interface MemoryNeed {
  /** Parameters and the vectors of spectral norm. */
  readonly weights: number;
  readonly adam: number;
  readonly gradients: number;
  /** Everything else the recorded iteration needs: activations and what is computed on the way back. */
  readonly activations: number;
  /** What no plan for these activations can do without: the largest sum of tensors alive at once. */
  readonly lowerBound: number;
  /** Intermediates of the sample grids, kept beside those of training. */
  readonly samples: number;
  readonly total: number;
  /** Launches of one iteration. */
  readonly launches: number;
}

const bytesOf = (groups: readonly ParameterGroup[]) =>
  groups.flatMap(({ shards }) => shards).reduce((sum, { bytes }) => sum + bytes, 0);

function sampleBytes(model: Model): number {
  const { device, options, recipe } = model;
  const [way] = Object.values(recipe.ways);
  const x = allocate(device, inputShape(way, options), 'sample');
  return trace(device, () => gridOf(model, way, x).outputs).plan.bytes;
}

/**
 * What training would need on this adapter, with the kernels it would use. Allocates and runs nothing.
 * @throws ShapeError or DeviceError where a single tensor exceeds the adapter's limits, AdawnError for an
 * impossible configuration.
 */
export function memoryNeed(device: Device, recipe: Recipe, options: CommonOptions): MemoryNeed {
  const paper = paperDevice(device);
  const model = createModel(paper, recipe, options);
  const { plan, launches } = traceTraining(model);
  const ensembles = ensemblesOf(model);
  const weights = bytesOf(ensembles.flatMap(({ parameters, u, v }) => [parameters, u, v]));
  const adam = bytesOf(ensembles.flatMap(({ moments }) => (moments ? [moments.first, moments.second] : [])));
  const gradients = bytesOf(Object.values(model.trained).map((trained) => trained.gradients));
  const samples = sampleBytes(model);
  return {
    ...{ weights, adam, gradients, samples },
    activations: plan.bytes,
    lowerBound: plan.lowerBound,
    total: weights + adam + gradients + plan.bytes + samples,
    launches: launches.length,
  };
}

/** The same, or what stands against it in words. */
export function tryNeed(
  device: Device,
  recipe: Recipe,
  options: CommonOptions,
): { need: MemoryNeed } | { reason: string } {
  try {
    return { need: memoryNeed(device, recipe, options) };
  } catch (error) {
    if (error instanceof AdawnError) return { reason: error.message };
    throw error;
  }
}

/** One option at a value that needs less memory. */
interface Change {
  readonly name: string;
  readonly value: unknown;
}

/** As on the command line. */
const flagged = ({ name, value }: Change) =>
  value === true ? `--${flagOf(name)}` : `--${flagOf(name)} ${value}`;

/** Values of each option that need less memory than today's, the mildest first. */
function milder(recipe: Recipe, options: CommonOptions): Change[][] {
  const values = options as unknown as Record<string, unknown>;
  return Object.entries(recipe.options as Record<string, OptionSpec<unknown>>).map(
    ([name, { lowersMemory = [] }]) => {
      const now = values[name];
      const less = (value: unknown) =>
        typeof now === 'number' ? Number(value) < now : value !== (now ?? false);
      return lowersMemory.filter(less).map((value) => ({ name, value }));
    },
  );
}

/** Options that would lower what a run needs, as advice for one that does not fit; empty where none would. */
export function lowerOptions(recipe: Recipe, options: CommonOptions): string {
  const changes = milder(recipe, options).flatMap(([mildest]) => mildest ?? []);
  const [switches, sizes] = [true, false].map((wanted) =>
    changes.filter(({ value }) => (value === true) === wanted),
  );
  const smaller = sizes.map(({ name }) => `--${flagOf(name)}`);
  const parts = [
    ...switches.map(flagged),
    ...(smaller.length > 0 ? [`a smaller ${smaller.join(', ')}`] : []),
  ];
  return parts.length > 0 ? `use ${parts.join(', ')}` : '';
}

/** Ways to need less memory: of each the mildest that fits is worth naming. */
function waysDown(recipe: Recipe, options: CommonOptions): Change[][][] {
  const table = recipe.options as Record<string, OptionSpec<unknown>>;
  const each = milder(recipe, options).filter((changes) => changes.length > 0);
  // What changes no number comes first, then what has one other value, then sizes.
  const rank = ([{ name }]: Change[]) =>
    table[name].mayChange ? 0 : table[name].lowersMemory!.length > 1 ? 2 : 1;
  each.sort((a, b) => rank(a) - rank(b));
  const alone = each.map((changes) => changes.map((change) => [change]));
  const switched = each.filter((changes) => rank(changes) === 1).map(([change]) => change);
  const [largest = []] = each.filter((changes) => rank(changes) === 2);
  const least = each.filter((changes) => rank(changes) > 0).map((changes) => changes[changes.length - 1]);
  return [...alone, switched.length > 0 ? largest.map((change) => [...switched, change]) : [], [least]];
}

/** Options with which training fits into `bytes`, the mildest first. */
export function fittingOptions(
  device: Device,
  recipe: Recipe,
  options: CommonOptions,
  bytes: number,
  most = 3,
): string[] {
  const found: string[] = [];
  for (const way of waysDown(recipe, options)) {
    if (found.length === most) break;
    for (const changes of way) {
      const change = Object.fromEntries(changes.map(({ name, value }) => [name, value]));
      const result = tryNeed(device, recipe, { ...options, ...change });
      if (!('need' in result) || result.need.total > bytes) continue;
      found.push(`${changes.map(flagged).join(' ')} (${gib(result.need.total)})`);
      break;
    }
  }
  return found;
}

/** Bytes for people. */
export function gib(bytes: number): string {
  return bytes < 2 ** 29 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/**
 * Says before training starts whether it fits this adapter.
 * @throws TrainingError with the options that would fit, AdawnError for an impossible configuration.
 */
export async function expectRoom(device: Device, recipe: Recipe, options: CommonOptions): Promise<void> {
  checkOptions(recipe, options);
  const result = tryNeed(device, recipe, options);
  const room = await adapterMemory(device);
  if ('need' in result && (!room || result.need.total <= room.bytes)) return;
  const why =
    'need' in result
      ? `training needs ${gib(result.need.total)} of GPU memory, ` +
        `${device.name} has ${gib(room!.bytes)} (${room!.source})`
      : result.reason;
  const fits = fittingOptions(device, recipe, options, room?.bytes ?? Number.POSITIVE_INFINITY);
  const advice = fits.length > 0 ? `these fit: ${fits.join(', ')}` : 'no milder options fit either';
  throw new TrainingError(`${why}; ${advice} (npx tsx cli/doctor.ts --plan shows the parts)`);
}
