import { AdawnError } from '../../engine/errors.ts';
import { type Device, type KernelSpec, kernelKey, type Launch } from '../../engine/index.ts';
import type { CommonOptions, Recipe } from '../../model/recipe.ts';
import { naiveFlops } from '../flops.ts';
import type { AssumptionName } from './assumptions.ts';
import { type PaperIteration, recordIteration } from './launches.ts';
import { ruleOf } from './rules.ts';
import { type Rates, timeOf } from './time.ts';
import { type CacheState, emptyCache, type Traffic, trafficOf } from './traffic.ts';
import { waitsOf } from './waits.ts';
import { type Rounds, siteOf, workOf } from './work.ts';

/** What is expected of one launch. Times in milliseconds. */
export interface Estimate {
  readonly launch: Launch;
  /** File and entry point. */
  readonly kernel: string;
  /** Whether a rule says what the kernel does. */
  readonly ruled: boolean;
  readonly groups: number;
  /** Workgroups that a core holds at once. */
  readonly resident: number;
  readonly flops: number;
  readonly useful: number;
  readonly traffic: Traffic;
  /** Of products by tiles. */
  readonly rounds: Rounds | null;
  /** By itself, and with the wait for the launch before. */
  readonly own_ms: number;
  readonly ms: number;
  readonly roofline_ms: number;
  /** The assumption that `own_ms` rests on. */
  readonly bound: AssumptionName;
  /** Whether Dawn has it wait for the launches before, and whether its data ask for that. */
  readonly placed: boolean;
  readonly needed: boolean;
}

export const nameOf = ({ name, entry }: KernelSpec) => `${name}:${entry}`;

type Alone = Omit<Estimate, 'placed' | 'needed' | 'ms'>;

function estimateLaunch(rates: Rates, cache: CacheState, launch: Launch): Alone {
  const { kernel } = launch;
  if (!kernel)
    throw new AdawnError(`${launch.label}: copies into textures are for processors, not for a card`);
  const rule = ruleOf(kernel);
  const site = siteOf(launch);
  const work = workOf(site, rule);
  const traffic = trafficOf(cache, launch, work);
  const { seconds, bound, roofline, resident } = timeOf(rates, site, work, traffic);
  const { flops, useful, rounds } = work;
  return {
    ...{ launch, kernel: nameOf(kernel), ruled: rule !== undefined, groups: site.groups, resident },
    ...{ flops, useful, traffic, rounds, own_ms: seconds * 1e3, roofline_ms: roofline * 1e3, bound },
  };
}

/** What is expected of each launch of an iteration that follows others like it. */
export function estimateLaunches(rates: Rates, iteration: PaperIteration): Estimate[] {
  const { launches, plan, uploaded } = iteration;
  const { placed, needed } = waitsOf(launches, plan, uploaded);
  const cache = emptyCache(rates.card.cacheMib * 2 ** 20);
  return launches.map((launch, i) => {
    const alone = estimateLaunch(rates, cache, launch);
    const gap = placed[i] ? rates.assumed.gapUs / 1e3 : 0;
    return { ...alone, ms: alone.own_ms + gap, placed: placed[i], needed: needed[i] };
  });
}

/** Operations by definition, a convolution as the direct sum, by label of the op. */
export function directFlops<O extends CommonOptions>(
  paper: Device,
  recipe: Recipe<O>,
  options: O,
): Map<string, number> {
  const naive = { ...paper, variants: { conv2d: 'naive', linear: 'naive' } };
  const flops = new Map<string, number>();
  for (const launch of recordIteration(naive, recipe, options).launches) {
    flops.set(launch.label, (flops.get(launch.label) ?? 0) + naiveFlops(launch));
  }
  return flops;
}

/** Sums over some launches. */
export interface Sums {
  readonly launches: number;
  readonly flops: number;
  readonly useful: number;
  readonly bytes: number;
  readonly missed: number;
  readonly own_ms: number;
  readonly ms: number;
  readonly roofline_ms: number;
}

export function sumsOf(list: readonly Estimate[]): Sums {
  const sum = (of: (e: Estimate) => number) => list.reduce((total, e) => total + of(e), 0);
  return {
    launches: list.length,
    flops: sum((e) => e.flops),
    useful: sum((e) => e.useful),
    bytes: sum(({ traffic }) => traffic.read + traffic.written),
    missed: sum(({ traffic }) => traffic.missed + traffic.written),
    own_ms: sum((e) => e.own_ms),
    ms: sum((e) => e.ms),
    roofline_ms: sum((e) => e.roofline_ms),
  };
}

/** Members of a list by what `keyOf` says of them, with the sum of what `weigh` does; the heaviest first. */
export function grouped<T>(list: readonly T[], keyOf: (item: T) => string, weigh: (item: T) => number) {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const key = keyOf(item);
    const known = groups.get(key);
    if (known) known.push(item);
    else groups.set(key, [item]);
  }
  const sum = (members: readonly T[]) => members.reduce((total, item) => total + weigh(item), 0);
  const all = [...groups].map(([key, members]) => ({ key, list: members, weight: sum(members) }));
  return all.sort((x, y) => y.weight - x.weight);
}

/** Names launches that do the same in the same time. */
export function sameWork({ launch, own_ms }: Estimate): string {
  const shapes = launch.bindings.map(({ shape }) => shape.join('x'));
  return [launch.label, kernelKey(launch.kernel!), ...shapes, own_ms.toFixed(4)].join(' ');
}

/** The iteration in a few numbers. */
export interface Totals extends Sums {
  readonly pipelines: number;
  readonly plan_bytes: number;
  readonly waits_placed: number;
  readonly waits_needed: number;
  readonly gap_ms: number;
  readonly host_ms: number;
  /** Launches with fewer workgroups than the card has cores, and those that take less than a gap. */
  readonly few: Pick<Sums, 'launches' | 'ms'>;
  readonly short: Pick<Sums, 'launches' | 'ms'>;
  /** Kernels no rule knows. */
  readonly unknown: readonly string[];
}

export function totalsOf(rates: Rates, list: readonly Estimate[], plan_bytes: number): Totals {
  const sums = sumsOf(list);
  const some = (keep: (e: Estimate) => boolean) => {
    const { launches, ms } = sumsOf(list.filter(keep));
    return { launches, ms };
  };
  return {
    ...sums,
    plan_bytes,
    pipelines: new Set(list.map(({ launch }) => kernelKey(launch.kernel!))).size,
    waits_placed: list.filter(({ placed }) => placed).length,
    waits_needed: list.filter(({ needed }) => needed).length,
    gap_ms: sums.ms - sums.own_ms,
    host_ms: (list.length * rates.assumed.hostUs) / 1e3,
    few: some(({ groups }) => groups < rates.card.cores),
    short: some(({ own_ms }) => own_ms * 1e3 < rates.assumed.gapUs),
    unknown: [...new Set(list.filter(({ ruled }) => !ruled).map(({ kernel }) => kernel))],
  };
}
