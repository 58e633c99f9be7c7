import { DeviceError } from '../errors.ts';
import { encode, type Step } from '../run/encode.ts';
import { readStamps, resolveStamps, STAMPS, type Stopwatch, timeOnce } from './timing.ts';

/** What an op takes of a program. */
export interface Share {
  readonly label: string;
  readonly ms: number;
  /** Of the whole program, 0 to 1. */
  readonly share: number;
  readonly launches: number;
}

/**
 * Milliseconds of every launch, each in a pass of its own between two time stamps, which takes longer than
 * among others: see `profileProgram`.
 * @throws DeviceError where the device has no time stamps.
 */
async function profileSteps(watch: Stopwatch, steps: readonly Step[]): Promise<number[]> {
  const { device, stamps } = watch;
  if (!stamps) throw new DeviceError('profiling needs time stamps, which this adapter has not');
  const times: number[] = [];
  for (let from = 0; from < steps.length; from += STAMPS / 2) {
    const part = steps.slice(from, from + STAMPS / 2);
    const encoder = device.gpu.createCommandEncoder();
    part.forEach((step, i) => {
      const places = { beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      encode(encoder, [step], { querySet: stamps.set, ...places });
    });
    resolveStamps(watch, encoder, part.length);
    device.gpu.queue.submit([encoder.finish()]);
    times.push(...(await readStamps(watch, part.length)));
  }
  return times;
}

/** Times of launches as if they were among others, and what was subtracted from each. */
export interface Profile {
  readonly times: readonly number[];
  readonly alone_ms: number;
}

/** The middle one of some numbers; of an even count the greater of the two. */
export const median = (list: readonly number[]) =>
  [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/**
 * Milliseconds of every launch, medians over some rounds, less what timing a launch alone costs on average:
 * the sum of all less the time of all together, which is measured in every round.
 */
export async function profileProgram(
  watch: Stopwatch,
  steps: readonly Step[],
  rounds: number,
): Promise<Profile> {
  const all: number[][] = [];
  const excess: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const times = await profileSteps(watch, steps);
    const together = await timeOnce(watch, steps, 1);
    all.push(times);
    excess.push((times.reduce((sum, ms) => sum + ms, 0) - together) / steps.length);
  }
  const alone_ms = Math.max(0, median(excess));
  const timeOf = (i: number) => Math.max(0, median(all.map((times) => times[i])) - alone_ms);
  return { times: steps.map((_, i) => timeOf(i)), alone_ms };
}

/** Sums times over launches with the same label (`nameOf` may shorten it), largest first. */
export function sharesOf(
  steps: readonly Step[],
  times: readonly number[],
  nameOf: (label: string) => string,
): Share[] {
  const sums = new Map<string, { ms: number; launches: number }>();
  steps.forEach(({ launch }, i) => {
    const label = nameOf(launch.label);
    const sum = sums.get(label) ?? { ms: 0, launches: 0 };
    sum.ms += times[i];
    sum.launches++;
    sums.set(label, sum);
  });
  const total = times.reduce((sum, ms) => sum + ms, 0);
  const list = [...sums].map(([label, sum]) => ({ label, ...sum, share: sum.ms / total }));
  return list.sort((a, b) => b.ms - a.ms);
}
