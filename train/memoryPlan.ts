import { adapterMemory } from '../engine/device/adapterMemory.node.ts';
import type { Device } from '../engine/device/device.ts';
import { paperDevice } from '../engine/device/paper.ts';
import { AdawnError } from '../engine/errors.ts';
import { allocate } from '../engine/record/tensor.ts';
import { trace } from '../engine/run/program.ts';
import type { ParameterGroup } from '../model/parameters.ts';
import { trainingStep } from '../model/ugatit/trainingStep.ts';
import {
  checkConfig,
  createUgatit,
  translate,
  type Ugatit,
  type UgatitConfig,
} from '../model/ugatit/ugatit.ts';
import { TrainingError } from './errors.ts';

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

function sampleBytes(device: Device, model: Ugatit): number {
  const { size } = model.config;
  const x = allocate(device, [1, size, size, 3], 'sample');
  const { plan } = trace(device, () => {
    const fake = translate(model, 'genA2B', x).image;
    return {
      identity: translate(model, 'genB2A', x).image,
      fake,
      cycle: translate(model, 'genB2A', fake).image,
    };
  });
  return plan.bytes;
}

/**
 * What training would need on this adapter, with the kernels it would use. Allocates and runs nothing.
 * @throws ShapeError or DeviceError where a single tensor exceeds the adapter's limits, AdawnError for an
 * impossible configuration.
 */
export function memoryNeed(device: Device, config: UgatitConfig): MemoryNeed {
  const paper = paperDevice(device);
  const model = createUgatit(paper, config);
  const shape = [config.batch, config.size, config.size, 3];
  const [a, b] = ['A', 'B'].map((domain) => allocate(paper, shape, `batch ${domain}`));
  const hyper = allocate(paper, [4], 'Adam numbers');
  const { plan, launches } = trace(paper, () => {
    trainingStep(model, a, b, hyper);
    return {};
  });
  const ensembles = [model.generators, model.discriminators];
  const weights = bytesOf(ensembles.flatMap(({ parameters, u, v }) => [parameters, u, v]));
  const adam = bytesOf(ensembles.flatMap(({ moments }) => (moments ? [moments.first, moments.second] : [])));
  const gradients = bytesOf(Object.values(model.gradients));
  const samples = sampleBytes(paper, model);
  return {
    ...{ weights, adam, gradients, samples },
    activations: plan.bytes,
    lowerBound: plan.lowerBound,
    total: weights + adam + gradients + plan.bytes + samples,
    launches: launches.length,
  };
}

/** The same, or what stands against it in words. */
export function tryNeed(device: Device, config: UgatitConfig): { need: MemoryNeed } | { reason: string } {
  try {
    return { need: memoryNeed(device, config) };
  } catch (error) {
    if (error instanceof AdawnError) return { reason: error.message };
    throw error;
  }
}

interface Change {
  /** As on the command line. */
  readonly options: string;
  readonly change: Partial<UgatitConfig>;
}

/** Ways to need less memory: of each the mildest that fits is worth naming. */
function waysDown(config: UgatitConfig): Change[][] {
  const sizes = [1024, 768, 512, 384, 256, 192, 128, 96].filter((size) => size < config.size);
  const channels = [64, 48, 32, 16].filter((ch) => ch < config.ch);
  const light = { light: true, batch: 1 };
  const both = config.light ? '--batch 1' : '--light';
  const twice = { checkpointActivations: true };
  return [
    // The only one that changes no number.
    config.checkpointActivations ? [] : [{ options: '--checkpoint-activations', change: twice }],
    config.batch > 1 ? [{ options: '--batch 1', change: { batch: 1 } }] : [],
    config.light ? [] : [{ options: '--light', change: { light: true } }],
    sizes.map((size) => ({ options: `--size ${size}`, change: { size } })),
    channels.map((ch) => ({ options: `--ch ${ch}`, change: { ch } })),
    sizes.map((size) => ({ options: `${both} --size ${size}`, change: { ...light, size } })),
    [{ options: `${both} --size 96 --ch 16`, change: { ...light, size: Math.min(96, config.size), ch: 16 } }],
  ];
}

/** Options with which training fits into `bytes`, the mildest first. */
export function fittingOptions(device: Device, config: UgatitConfig, bytes: number, most = 3): string[] {
  const found: string[] = [];
  for (const way of waysDown(config)) {
    if (found.length === most) break;
    for (const { options, change } of way) {
      const result = tryNeed(device, { ...config, ...change });
      if (!('need' in result) || result.need.total > bytes) continue;
      found.push(`${options} (${gib(result.need.total)})`);
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
export async function expectRoom(device: Device, config: UgatitConfig): Promise<void> {
  checkConfig(config);
  const result = tryNeed(device, config);
  const room = await adapterMemory(device);
  if ('need' in result && (!room || result.need.total <= room.bytes)) return;
  const why =
    'need' in result
      ? `training needs ${gib(result.need.total)} of GPU memory, ` +
        `${device.name} has ${gib(room!.bytes)} (${room!.source})`
      : result.reason.replace(/: use .*$/, '');
  const fits = fittingOptions(device, config, room?.bytes ?? Number.POSITIVE_INFINITY);
  const advice = fits.length > 0 ? `these fit: ${fits.join(', ')}` : 'no milder options fit either';
  throw new TrainingError(`${why}; ${advice} (npx tsx cli/doctor.ts --plan shows the parts)`);
}
