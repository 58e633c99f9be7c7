import { checkDevice, type Device } from '../device/device.ts';
import { untilDone } from '../device/waiting.ts';
import { encode, type Step } from '../run/encode.ts';

/** How long one run of some launches takes: milliseconds over several samples. */
export interface Timing {
  readonly median: number;
  readonly min: number;
  /** Distance between the quartiles, relative to the median. */
  readonly spread: number;
  readonly samples: number;
  /** Measured by the GPU's own clock; else by the host's, waiting for the queue included. */
  readonly stamped: boolean;
}

export interface TimingOptions {
  /** Samples of each competitor at most. */
  readonly samples?: number;
  /** Milliseconds of work in a sample at least: short programs are repeated within it. */
  readonly sampleMs?: number;
  /** Milliseconds spent on each competitor, about; one sample is taken in any case. */
  readonly budgetMs?: number;
  /** When aborted, its reason is thrown. */
  readonly stop?: AbortSignal;
}

/** Two time stamps of a device, and what brings them to the host. */
export interface Stopwatch {
  readonly device: Device;
  readonly stamps: {
    readonly set: GPUQuerySet;
    readonly resolved: GPUBuffer;
    readonly host: GPUBuffer;
  } | null;
}

/** Time stamps a stopwatch holds. WebGPU allows 4096 in a set. */
export const STAMPS = 4096;

/** Milliseconds between two looks whether work is done, where the host's clock measures. */
const FINE = 0.2;

/** Launches in a pass at most. */
const PASS = 400;

/** Launches in a sample at most: encoding more would take the host longer than the GPU. */
const MOST_LAUNCHES = 4000;

/** Opens a stopwatch; it uses time stamps where the device has them. Close it after use. */
export function openStopwatch(device: Device, useStamps = true): Stopwatch {
  if (!useStamps || !device.gpu.features.has('timestamp-query')) return { device, stamps: null };
  const size = STAMPS * 8;
  const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
  const stamps = {
    set: device.gpu.createQuerySet({ type: 'timestamp', count: STAMPS }),
    resolved: device.gpu.createBuffer({ size, usage }),
    host: device.gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }),
  };
  return { device, stamps };
}

export function closeStopwatch({ stamps }: Stopwatch): void {
  stamps?.set.destroy();
  stamps?.resolved.destroy();
  stamps?.host.destroy();
}

/** Milliseconds between stamps 2i and 2i + 1, for the first `pairs` pairs. */
export async function readStamps({ device, stamps }: Stopwatch, pairs: number): Promise<number[]> {
  const { host } = stamps!;
  await untilDone(device, host.mapAsync(GPUMapMode.READ, 0, pairs * 16));
  const at = new BigUint64Array(host.getMappedRange(0, pairs * 16).slice(0));
  host.unmap();
  return Array.from({ length: pairs }, (_, i) => {
    // A GPU may note a pass's begin while the one before is still running.
    const begin = i > 0 && at[2 * i - 1] > at[2 * i] ? at[2 * i - 1] : at[2 * i];
    return Number(at[2 * i + 1] - begin) / 1e6;
  });
}

/** Encodes the way of `pairs` pairs of stamps to the host. */
export function resolveStamps({ stamps }: Stopwatch, encoder: GPUCommandEncoder, pairs: number): void {
  const { set, resolved, host } = stamps!;
  encoder.resolveQuerySet(set, 0, 2 * pairs, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, host, 0, pairs * 16);
}

/** Encodes `repeats` runs of the steps in passes; the first notes the begin and the last the end. */
function encodeRuns(watch: Stopwatch, encoder: GPUCommandEncoder, steps: readonly Step[], repeats: number) {
  const all = repeats === 1 ? steps : Array.from({ length: repeats }, () => steps).flat();
  const passes = Math.ceil(all.length / PASS);
  for (let i = 0; i < passes; i++) {
    const begin = i === 0 ? { beginningOfPassWriteIndex: 0 } : {};
    const end = i === passes - 1 ? { endOfPassWriteIndex: 1 } : {};
    const noted = watch.stamps && (i === 0 || i === passes - 1);
    const stamps = noted ? { querySet: watch.stamps!.set, ...begin, ...end } : undefined;
    encode(encoder, all.slice(i * PASS, (i + 1) * PASS), stamps);
  }
}

/** One run by the GPU's clock and by the host's, in milliseconds; `stamped` is NaN without time stamps. */
export interface Measured {
  readonly stamped: number;
  readonly wall: number;
}

/** Runs the steps `repeats` times; milliseconds of one run. */
export async function measureOnce(
  watch: Stopwatch,
  steps: readonly Step[],
  repeats: number,
): Promise<Measured> {
  const { gpu } = watch.device;
  const encoder = gpu.createCommandEncoder();
  encodeRuns(watch, encoder, steps, repeats);
  if (watch.stamps) resolveStamps(watch, encoder, 1);
  const commands = encoder.finish();
  const start = performance.now();
  gpu.queue.submit([commands]);
  const done = () => untilDone(watch.device, gpu.queue.onSubmittedWorkDone(), FINE);
  const stamps = watch.stamps ? await readStamps(watch, 1) : await done();
  const wall = performance.now() - start;
  checkDevice(watch.device);
  return { stamped: (stamps?.[0] ?? Number.NaN) / repeats, wall: wall / repeats };
}

/** The same by the better clock there is. */
export async function timeOnce(watch: Stopwatch, steps: readonly Step[], repeats: number): Promise<number> {
  const { stamped, wall } = await measureOnce(watch, steps, repeats);
  return watch.stamps ? stamped : wall;
}

/** The value below which the share `p` of sorted numbers lies. */
function quantile(sorted: readonly number[], p: number): number {
  const at = (sorted.length - 1) * p;
  const low = sorted[Math.floor(at)];
  return low + (sorted[Math.ceil(at)] - low) * (at % 1);
}

function summary(samples: readonly number[], stamped: boolean): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  const median = quantile(sorted, 0.5);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median;
  return { median, min: sorted[0], spread, samples: sorted.length, stamped };
}

/** A competitor of a race. */
interface Entry {
  readonly steps: readonly Step[];
  readonly repeats: number;
  readonly times: number[];
  spent: number;
}

/**
 * Times several competitors fairly: warm-up, then a sample of each in turn, so that a busy moment of the
 * machine meets all of them. Slow ones get fewer samples.
 */
export async function race(
  watch: Stopwatch,
  competitors: readonly (readonly Step[])[],
  options: TimingOptions = {},
): Promise<Timing[]> {
  const { samples = 9, sampleMs = 20, budgetMs = 1000, stop } = options;
  const entries: Entry[] = [];
  for (const steps of competitors) {
    // The first run compiles in some drivers; the second tells how often to repeat, and is the sample of what
    // takes long.
    stop?.throwIfAborted();
    await timeOnce(watch, steps, 1);
    const expected = await timeOnce(watch, steps, 1);
    const most = Math.max(1, Math.floor(MOST_LAUNCHES / steps.length));
    const repeats = Math.max(1, Math.min(most, Math.ceil(sampleMs / Math.max(expected, 1e-4))));
    const slow = expected > budgetMs;
    entries.push({ steps, repeats, times: slow ? [expected] : [], spent: slow ? expected : 0 });
  }
  for (let round = 0; round < samples; round++) {
    for (const entry of entries) {
      stop?.throwIfAborted();
      if (entry.times.length >= 1 && entry.spent > budgetMs) continue;
      const before = performance.now();
      const ms = await timeOnce(watch, entry.steps, entry.repeats);
      entry.spent += performance.now() - before;
      entry.times.push(ms);
    }
  }
  return entries.map(({ times }) => summary(times, watch.stamps !== null));
}
