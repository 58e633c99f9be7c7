import { encode, type Step } from './encode.ts';
import { DeviceError } from './errors.ts';
import { dispose, record } from './program.ts';
import { launch } from './recorder.ts';
import { allocate, release } from './tensor.ts';
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
 * among others: see `passCost`.
 * @throws DeviceError where the device has no time stamps.
 */
export async function profileSteps(watch: Stopwatch, steps: readonly Step[]): Promise<number[]> {
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

/** Launches of an empty kernel that are timed for `passCost`. */
const EMPTIES = 256;

/**
 * Milliseconds that a launch timed by `profileSteps` takes more than among others: a pass of its own, and two
 * time stamps. Measured with a kernel that does nothing.
 */
export async function passCost(watch: Stopwatch): Promise<number> {
  const { device } = watch;
  const y = allocate(device, [4], 'empty');
  const program = await record(device, () => {
    for (let i = 0; i < EMPTIES; i++) {
      launch({ kernel: 'measure/empty', label: 'measure.empty', bind: [y], grid: [1, 1, 1] });
    }
    return {};
  });
  const rounds: number[] = [];
  for (let i = 0; i < 5; i++) {
    const alone = (await profileSteps(watch, program.steps)).reduce((sum, ms) => sum + ms, 0);
    const together = await timeOnce(watch, program.steps, 1);
    rounds.push((alone - together) / EMPTIES);
  }
  dispose(program);
  release(device, y);
  return Math.max(0, rounds.sort((a, b) => a - b)[2]);
}

/** Sums times over launches with the same label (`nameOf` may shorten it), largest first. */
export function sharesOf(
  steps: readonly Step[],
  times: readonly number[],
  nameOf: (label: string) => string,
): Share[] {
  const sums = new Map<string, { ms: number; launches: number }>();
  steps.forEach(({ launch: { label: full } }, i) => {
    const label = nameOf(full);
    const sum = sums.get(label) ?? { ms: 0, launches: 0 };
    sum.ms += times[i];
    sum.launches++;
    sums.set(label, sum);
  });
  const total = times.reduce((sum, ms) => sum + ms, 0);
  const list = [...sums].map(([label, sum]) => ({ label, ...sum, share: sum.ms / total }));
  return list.sort((a, b) => b.ms - a.ms);
}
