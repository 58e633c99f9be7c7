import type { Device } from '../device/device.ts';
import { grid1d, launch } from '../record/recorder.ts';
import { allocate, release, type Tensor } from '../record/tensor.ts';
import type { Step } from '../run/encode.ts';
import { dispose, type Program, record } from '../run/program.ts';
import { evaluate, tensorFrom } from '../run/transfer.ts';
import { measureOnce, race, type Stopwatch, type Timing, timeOnce } from './timing.ts';

/** The fastest of several kernels that do nothing but one thing: what no kernel can beat on this adapter. */
export interface Ceiling {
  /** What won: `chains12`, `64 x 4`. */
  readonly name: string;
  /** To run beside what is compared with it. */
  readonly steps: readonly Step[];
  /** Floating-point operations (a fused multiply-add is two), or bytes read and written, of one run. */
  readonly work: number;
  readonly timing: Timing;
}

export interface Ceilings {
  readonly fma: Ceiling;
  readonly copy: Ceiling;
  /** Microseconds of one launch in a long pass, beside what it computes. */
  readonly launchUs: number;
  /** Frees what the ceilings hold. */
  close(): void;
}

/** Billions a second, of operations or bytes. */
export function rate(work: number, ms: number): number {
  return work / ms / 1e6;
}

interface Candidate {
  readonly name: string;
  readonly program: Program<Record<string, Tensor>>;
  readonly work: number;
}

/** Chains of multiply-adds of each entry of kernels/measure/fma.wgsl. */
const CHAINS = { chains8: 8, chains12: 12, chains16: 16, chains32: 32 };

/** Milliseconds a ceiling's kernel should take at least: a processor's threads need some to start. */
const leastMs = (device: Device) => (device.isCpu ? 15 : 4);

async function fmaCandidate(device: Device, entry: keyof typeof CHAINS, o: Tensor, groups: number) {
  const LOOPS = device.isCpu ? 128 : 1024;
  const WG = 64;
  const program = await record(device, () => {
    launch({
      kernel: 'measure/fma',
      entry,
      constants: { LOOPS, WG },
      label: 'measure.fma',
      bind: [o],
      grid: [groups, 1, 1],
    });
    return {};
  });
  return { name: entry, program, work: groups * WG * LOOPS * 8 * CHAINS[entry] * 2 };
}

/** Workgroups that keep the adapter busy for long enough. */
async function fmaGroups(watch: Stopwatch, o: Tensor): Promise<number> {
  const { device } = watch;
  const most = Math.min(o.shape[0] / 64, device.gpu.limits.maxComputeWorkgroupsPerDimension);
  let groups = device.isCpu ? 64 : 1024;
  for (; groups < most; groups *= 4) {
    const { program } = await fmaCandidate(device, 'chains12', o, groups);
    await timeOnce(watch, program.steps, 1);
    const ms = await timeOnce(watch, program.steps, 1);
    dispose(program);
    if (ms * 4 > leastMs(device)) break;
  }
  return Math.min(groups * 2, most);
}

async function copyCandidate(device: Device, x: Tensor, y: Tensor, WG: number, PER: number) {
  const N4 = x.shape[0] / 4;
  const program = await record(device, () => {
    launch({
      kernel: 'measure/copy',
      constants: { N4, WG, PER },
      label: 'measure.copy',
      bind: [x, y],
      grid: grid1d(N4 / PER, WG),
    });
    return {};
  });
  return { name: `${WG} x ${PER}`, program, work: 2 * 16 * N4 };
}

/** The candidate with the best time; the others are freed. */
async function best(watch: Stopwatch, candidates: readonly Candidate[], budgetMs: number): Promise<Ceiling> {
  const timings = await race(
    watch,
    candidates.map(({ program }) => program.steps),
    { samples: 7, sampleMs: leastMs(watch.device), budgetMs },
  );
  const rates = candidates.map(({ work }, i) => rate(work, timings[i].min));
  const at = rates.indexOf(Math.max(...rates));
  candidates.forEach(({ program }, i) => {
    if (i !== at) dispose(program);
  });
  const { name, program, work } = candidates[at];
  return { name, steps: program.steps, work, timing: timings[at] };
}

/** Invocations of a copy and vec4s of each. */
const COPIES = [
  [8, 64],
  [32, 16],
  [64, 1],
  [64, 8],
  [256, 1],
  [256, 4],
] as const;

async function launchCost(watch: Stopwatch, o: Tensor): Promise<number> {
  const launches = 1000;
  const program = await record(watch.device, () => {
    for (let i = 0; i < launches; i++) {
      launch({ kernel: 'measure/empty', label: 'measure.empty', bind: [o], grid: [1, 1, 1] });
    }
    return {};
  });
  const [timing] = await race(watch, [program.steps], { samples: 5, sampleMs: 1 });
  dispose(program);
  return (timing.median * 1000) / launches;
}

/**
 * Measures what this adapter can do at most: multiply-adds, copying, launching. Some seconds, or with `quick`
 * about one.
 */
export async function measureCeilings(
  watch: Stopwatch,
  options: { quick?: boolean } = {},
): Promise<Ceilings> {
  const { device } = watch;
  const budgetMs = options.quick ? 150 : 600;
  const floats = Math.min(device.isCpu ? 2 ** 23 : 2 ** 26, device.maxBinding / 4);
  const [x, y] = ['x', 'y'].map((label) => allocate(device, [floats], `copy ${label}`));
  const groups = await fmaGroups(watch, y);
  const fmas: Candidate[] = [];
  for (const entry of Object.keys(CHAINS) as (keyof typeof CHAINS)[]) {
    fmas.push(await fmaCandidate(device, entry, y, groups));
  }
  const fma = await best(watch, fmas, budgetMs);
  const copies: Candidate[] = [];
  for (const [WG, PER] of COPIES) copies.push(await copyCandidate(device, x, y, WG, PER));
  const copy = await best(watch, copies, budgetMs);
  const launchUs = await launchCost(watch, y);
  const close = () => {
    for (const tensor of [x, y]) release(device, tensor);
  };
  return { fma, copy, launchUs, close };
}

/** Whether a kernel computes what it should on this adapter: a copy of known numbers. */
export async function computesRight(device: Device): Promise<boolean> {
  const count = 4096;
  const values = Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i) * 1000));
  const x = tensorFrom(device, values, [count]);
  const y = allocate(device, [count], 'copied');
  const { sum } = await evaluate(device, () => {
    launch({
      kernel: 'measure/copy',
      constants: { N4: count / 4, WG: 64, PER: 1 },
      label: 'measure.copy',
      bind: [x, y],
      grid: [count / 4 / 64, 1, 1],
    });
    return { sum: y };
  });
  for (const tensor of [x, y]) release(device, tensor);
  return sum.every((value, i) => value === values[i]);
}

/** Whether time stamps agree with the host's clock, run by run, on steps that take long enough. */
export async function stampsAreSane(
  watch: Stopwatch,
  steps: readonly Step[],
  repeats: number,
): Promise<boolean> {
  if (!watch.stamps) return false;
  const ratios: number[] = [];
  for (let i = 0; i < 5; i++) {
    const { stamped, wall } = await measureOnce(watch, steps, repeats);
    ratios.push(stamped / wall);
  }
  ratios.sort((a, b) => a - b);
  // The host's clock also counts the way there and back.
  return ratios[0] > 0 && ratios[2] > 0.5 && ratios[4] < 1.05;
}
