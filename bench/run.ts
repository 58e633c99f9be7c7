import {
  type Ceilings,
  type Device,
  race,
  rate,
  type Stopwatch,
  type Timing,
  type TimingOptions,
  type Variants,
} from '../engine/index.ts';
import type { BenchCase, Check, Prepared, Result } from './types.ts';

/** What all cases of a run share. */
export interface BenchRun {
  readonly watch: Stopwatch;
  readonly ceilings: Ceilings;
  readonly timing: TimingOptions;
  /** Time every variant that fits, not the chosen one alone. */
  readonly variants: boolean;
}

/** One variant of a case, checked. */
interface Entry {
  readonly variant: string;
  readonly prepared: Prepared;
  readonly check: Check;
  readonly right: boolean;
}

const DEFAULT = 'default';
const NAIVE = 'naive';

/** What is multiplied in 16 bits is right to three digits; networks multiply such errors. */
const MIXED_TOLERANCE: Record<string, number> = {
  conv2d: 3e-3,
  generator: 5e-2,
  discriminator: 5e-2,
  step: 5e-2,
};

function toleranceOf(c: BenchCase, device: Device, check: Check, variant: string): number {
  const slack = variant === NAIVE ? (c.naiveSlack ?? 1) : 1;
  const mixed = device.precision === 'mixed' ? (MIXED_TOLERANCE[c.op] ?? 0) : 0;
  return Math.max(check.tolerance * slack, mixed);
}

function variantsOf(c: BenchCase, device: Device, others: boolean): Record<string, Variants> {
  const all: Record<string, Variants> = { [DEFAULT]: {}, ...(others ? c.others?.(device) : {}) };
  if (c.naive) all[NAIVE] = c.naive;
  return all;
}

async function prepareAll(c: BenchCase, device: Device, others: boolean): Promise<Entry[]> {
  const open = c.open();
  const entries: Entry[] = [];
  const before = device.variants;
  try {
    for (const [variant, forced] of Object.entries(variantsOf(c, device, others))) {
      device.variants = { ...before, ...forced };
      const prepared = await open(device);
      const check = await prepared.check();
      const tolerance = toleranceOf(c, device, check, variant);
      // A NaN compares as wrong.
      entries.push({ variant, prepared, check, right: check.error <= tolerance });
    }
  } finally {
    device.variants = before;
  }
  return entries;
}

const rounded = (value: number) => Number(value.toPrecision(5));

interface Rates {
  readonly flops?: number;
  readonly bytes?: number;
  readonly gflops: number;
  readonly gbps: number;
}

/** A record of one variant; `ceilings` are those measured beside it. */
function resultOf(c: BenchCase, entry: Entry, t: Timing | null, naive: Timing | null, r: Rates): Result {
  const { variant, check, prepared, right } = entry;
  const gflops = t && r.flops ? rate(r.flops, t.median) : null;
  const gbps = t && r.bytes ? rate(r.bytes, t.median) : null;
  // Best against best: what other work on the machine disturbs least, on both sides.
  const best = (work: number | undefined) => (t && work ? rate(work, t.min) : null);
  const [reached, most] = c.bound === 'arithmetic' ? [best(r.flops), r.gflops] : [best(r.bytes), r.gbps];
  const number = (value: number | null | undefined) => (value ? rounded(value) : null);
  return {
    case: c.name,
    op: c.op,
    pass: c.pass,
    variant,
    shape: c.shape,
    ms: number(t?.median),
    ms_min: number(t?.min),
    spread: t && rounded(t.spread),
    gflops: number(gflops),
    gbps: number(gbps),
    ceiling_gflops: rounded(r.gflops),
    ceiling_gbps: rounded(r.gbps),
    fraction_of_ceiling: c.bound && reached ? rounded(reached / most) : null,
    naive_ms: number(naive?.median),
    speedup: t && naive ? rounded(naive.median / t.median) : null,
    error: rounded(check.error),
    launches: prepared.steps.length,
    ...(right ? {} : { wrong: wrongText(check) }),
  };
}

function wrongText({ error, tolerance, note }: Check): string {
  return `error ${error.toExponential(1)} exceeds ${tolerance}${note ? ` (${note})` : ''}`;
}

/**
 * Checks a case in its variants, then times the right ones in turn with the naive twin and both ceilings.
 * The first result is the default's.
 */
export async function runCase(c: BenchCase, bench: BenchRun): Promise<Result[]> {
  const { watch, ceilings, timing } = bench;
  const { device } = watch;
  const flops = c.flops ?? c.countFlops?.(device);
  const entries = await prepareAll(c, device, bench.variants);
  try {
    const right = entries.filter((entry) => entry.right);
    const competitors = [
      ...right.map(({ prepared }) => prepared.steps),
      ceilings.fma.steps,
      ceilings.copy.steps,
    ];
    const timings = await race(watch, competitors, timing);
    const [fma, copy] = timings.slice(-2);
    const rates = {
      ...{ flops, bytes: c.bytes },
      gflops: rate(ceilings.fma.work, fma.min),
      gbps: rate(ceilings.copy.work, copy.min),
    };
    const timeOf = (entry: Entry) => (entry.right ? timings[right.indexOf(entry)] : null);
    const twin = entries.find(({ variant }) => variant === NAIVE);
    const naive = twin ? timeOf(twin) : null;
    const chosen = c.chosen?.(device);
    return entries.map((entry) => {
      const named = entry.variant === DEFAULT && chosen ? { ...entry, variant: chosen } : entry;
      return resultOf(c, named, timeOf(entry), naive, rates);
    });
  } finally {
    for (const { prepared } of entries) await prepared.dispose();
  }
}
