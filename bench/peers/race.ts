import { join } from 'node:path';
import type { PeerCase } from './cases.ts';
import type { Child } from './child.ts';
import { type HostTensors, readTensors, writeTensors } from './protocol.ts';

/** One framework on one case. */
export interface PeerResult {
  readonly case: string;
  readonly pass: string;
  readonly framework: string;
  /** Median and minimum over the samples, milliseconds of one run; null where there is a problem. */
  readonly ms: number | null;
  readonly ms_min: number | null;
  readonly samples: number;
  readonly gflops: number | null;
  /** Largest ‖own − other‖ / ‖other‖ of any result against the reference framework's; null for itself. */
  readonly difference: number | null;
  /** Why there is no time. */
  readonly problem: string | null;
}

export interface RaceOptions {
  readonly rounds: number;
  /** Milliseconds of a sample at least: short runs are repeated within it. */
  readonly sampleMs: number;
  /** Milliseconds a framework may spend on one case; it gets two samples in any case. */
  readonly budgetMs: number;
  /** Where tensors are handed over. */
  readonly folder: string;
  readonly tell?: (text: string) => void;
}

const LEAST_SAMPLES = 2;
const MOST_REPEATS = 100;

/** Largest relative difference of any result. @throws Error where one is missing or has another shape. */
export function differenceOf(found: HostTensors, reference: HostTensors): number {
  const names = Object.keys(reference);
  if (names.length === 0) throw new Error('there is nothing to compare');
  return Math.max(
    ...names.map((name) => {
      const [a, b] = [found[name], reference[name]];
      if (!a) throw new Error(`it gave no ${name}`);
      if (a.shape.join() !== b.shape.join()) throw new Error(`${name} is [${a.shape}], not [${b.shape}]`);
      let difference = 0;
      let norm = 0;
      for (let i = 0; i < b.data.length; i++) {
        difference += (a.data[i] - b.data[i]) ** 2;
        norm += b.data[i] ** 2;
      }
      const relative = Math.sqrt(difference / (norm || 1));
      // Math.max passes NaN on, but not every comparison does: no number is as wrong as can be.
      return Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative;
    }),
  );
}

/** A framework in the race of one case. */
interface Entry {
  readonly child: Child;
  readonly times: number[];
  spent: number;
  repeats: number;
  difference: number | null;
  problem: string | null;
}

async function attempt(entry: Entry, work: () => Promise<void>): Promise<void> {
  if (entry.problem !== null) return;
  try {
    await work();
  } catch (error) {
    entry.problem = (error as Error).message;
  }
}

async function openAll(entries: readonly Entry[], c: PeerCase, options: RaceOptions): Promise<void> {
  const inputs = join(options.folder, 'inputs.safetensors');
  const results = join(options.folder, 'results.safetensors');
  writeTensors(inputs, c.inputs());
  let reference: HostTensors | null = null;
  for (const entry of entries) {
    options.tell?.(`${c.name} ${c.pass}: ${entry.child.name} compiles, and is compared`);
    await attempt(entry, async () => {
      await entry.child.ask({ do: 'open', task: c.task, inputs, results });
      const found = readTensors(results);
      if (reference === null) {
        reference = found;
        return;
      }
      const difference = differenceOf(found, reference);
      entry.difference = difference;
      if (difference > c.tolerance) {
        throw new Error(`wrong: differs by ${difference.toPrecision(2)} (allowed: ${c.tolerance})`);
      }
    });
  }
}

async function sample(entry: Entry): Promise<number> {
  const expected = entry.times.length > 0 ? Math.min(...entry.times) * entry.repeats : 0;
  const { ms } = await entry.child.ask({ do: 'sample', repeats: entry.repeats, expected });
  if (ms === undefined || !(ms > 0)) throw new Error(`its sample took ${ms} ms`);
  entry.spent += ms * entry.repeats;
  entry.times.push(ms);
  return ms;
}

/** Warm-up: how often to repeat a run in a sample. A sample that took long enough counts already. */
async function calibrate(entry: Entry, { sampleMs, budgetMs }: RaceOptions): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const ms = await sample(entry);
    entry.repeats = Math.max(1, Math.min(MOST_REPEATS, Math.ceil(sampleMs / ms)));
    if (ms > budgetMs / 2) return;
    entry.times.length = 0;
  }
  entry.spent = 0;
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function resultOf(entry: Entry, c: PeerCase): PeerResult {
  const { times, problem, difference, child } = entry;
  const timed = problem === null;
  const ms = timed ? median(times) : null;
  return {
    case: c.name,
    pass: c.pass,
    framework: child.name,
    ms,
    ms_min: timed ? Math.min(...times) : null,
    samples: timed ? times.length : 0,
    gflops: ms !== null && c.flops !== null ? c.flops / ms / 1e6 : null,
    difference,
    problem,
  };
}

/**
 * All frameworks on one case: each computes it once and is compared, then they take turns, sample by sample,
 * each round beginning with another one, so that a busy moment of the machine meets all of them.
 */
export async function race(
  children: readonly Child[],
  c: PeerCase,
  options: RaceOptions,
): Promise<PeerResult[]> {
  const entries = children.map(
    (child): Entry => ({ child, times: [], spent: 0, repeats: 1, difference: null, problem: null }),
  );
  await openAll(entries, c, options);
  for (const entry of entries) await attempt(entry, () => calibrate(entry, options));
  for (let round = 0; round < options.rounds; round++) {
    options.tell?.(`${c.name} ${c.pass}: round ${round + 1} of ${options.rounds}`);
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[(i + round) % entries.length];
      const enough = entry.times.length >= LEAST_SAMPLES && entry.spent > options.budgetMs;
      if (!enough) await attempt(entry, async () => void (await sample(entry)));
    }
  }
  // A failed close says nothing new: the next case would find the process gone.
  for (const { child } of entries) await child.ask({ do: 'close' }).catch(() => {});
  return entries.map((entry) => resultOf(entry, c));
}
