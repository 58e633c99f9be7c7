import type { AssumptionName, Assumptions } from './assumptions.ts';
import { assumedOf, type Card } from './cards.ts';
import type { Traffic } from './traffic.ts';
import type { Rounds, Site, Work } from './work.ts';

/** A card's numbers as seconds and bytes, with what is assumed. */
export interface Rates {
  readonly card: Card;
  readonly assumed: Assumptions;
  /** Operations a second of all cores, bytes a second from memory and from the cache. */
  readonly flops: number;
  readonly memory: number;
  readonly cache: number;
}

export function ratesOf(card: Card): Rates {
  const assumed = assumedOf(card);
  return {
    card,
    assumed,
    flops: card.tflops * 1e12 * assumed.arithmetic,
    memory: card.gbps * 1e9 * assumed.bandwidth,
    cache: assumed.cacheGbps * 1e9,
  };
}

/** How long a launch takes by itself, and why. */
export interface LaunchTime {
  readonly seconds: number;
  /** The assumption the time rests on. */
  readonly bound: AssumptionName;
  /** Nothing that keeps the same results of the same operands takes less: operations of use, bytes once. */
  readonly roofline: number;
  /** Workgroups a core has under way at once. */
  readonly resident: number;
}

/** Invocations that share a register file's granule and a slot: a subgroup is never split. */
const SUBGROUP = 32;

/** Workgroups that a core holds at a time. */
export function residentGroups(
  { card, assumed }: Rates,
  { threads, shared }: Site,
  rounds: Rounds | null,
): number {
  const lanes = Math.ceil(threads / SUBGROUP) * SUBGROUP;
  const registers = rounds ? assumed[`${rounds.size}Registers`] : 0;
  const limits = [
    card.coreGroups,
    card.coreThreads / lanes,
    shared > 0 ? (card.coreSharedKib * 1024) / shared : card.coreGroups,
    registers > 0 ? (card.coreRegistersKib * 256) / (registers * lanes) : card.coreGroups,
  ];
  return Math.max(1, Math.floor(Math.min(...limits)));
}

/**
 * Seconds of a round of a tile when `sharing` workgroups share the core: a part that only other workgroups
 * can fill, and one that grows with their number, so that a full core (`resident`) reaches the share assumed.
 */
export function roundSeconds(rates: Rates, rounds: Rounds, sharing: number, resident: number): number {
  const { assumed, card } = rates;
  const full = (resident * rounds.flops * card.cores) / (assumed[rounds.size] * rates.flops);
  // Of a workgroup that fills the core alone nothing is known but the whole.
  const alone = resident > 1 ? Math.min(assumed.roundUs * 1e-6, full / resident) : 0;
  const seconds = alone + ((full - alone) * sharing) / resident;
  return seconds * (1 + ((assumed.unaligned - 1) * rounds.single) / 2);
}

/** Products: as many waves of full cores as there are, and one that fills them in part. */
function tileSeconds(rates: Rates, rounds: Rounds, groups: number, resident: number): number {
  const { cores } = rates.card;
  const mean = rounds.all / groups;
  const waves = Math.floor(groups / (cores * resident));
  const rest = Math.ceil((groups - waves * cores * resident) / cores);
  const whole = waves > 0 ? waves * roundSeconds(rates, rounds, resident, resident) : 0;
  const part = rest > 0 ? roundSeconds(rates, rounds, rest, resident) : 0;
  // Workgroups of unequal length: no launch ends before its longest.
  return Math.max(mean * (whole + part), rounds.longest * roundSeconds(rates, rounds, 1, resident));
}

/** All else: waits and turns of an invocation, wave after wave. */
function chainSeconds(
  { card, assumed }: Rates,
  work: Work,
  groups: number,
  resident: number,
  us: number,
): number {
  const waves = Math.ceil(groups / (card.cores * resident));
  return waves * (work.waits + work.turns / assumed.unrolled) * us * 1e-6;
}

function tileBound(rates: Rates, rounds: Rounds, groups: number, resident: number): AssumptionName {
  if (rounds.single > 0) return 'unaligned';
  // Where every core has all it can hold, its workgroups fill each other's waits.
  return Math.ceil(groups / rates.card.cores) < resident ? 'roundUs' : rounds.size;
}

/** The time of a launch alone: what takes longest of arithmetic, memory, cache, and waiting for loads. */
export function timeOf(rates: Rates, site: Site, work: Work, traffic: Traffic): LaunchTime {
  const { rounds } = work;
  const resident = residentGroups(rates, site, rounds);
  const { read, written, missed } = traffic;
  const memory = (missed + written) / rates.memory;
  const cache = Math.max(work.asked, read + written) / rates.cache;
  const load = missed > 0 ? 'memoryUs' : 'cacheUs';
  const candidates: [number, AssumptionName][] = [
    [memory, 'bandwidth'],
    [cache, 'cacheGbps'],
    rounds
      ? [tileSeconds(rates, rounds, site.groups, resident), tileBound(rates, rounds, site.groups, resident)]
      : [chainSeconds(rates, work, site.groups, resident, rates.assumed[load]), load],
  ];
  const [seconds, bound] = candidates.reduce((a, b) => (b[0] > a[0] ? b : a));
  const roofline = Math.max(work.useful / rates.flops, memory, (read + written) / rates.cache);
  return { seconds, bound: seconds * 1e6 < rates.assumed.gapUs ? 'gapUs' : bound, roofline, resident };
}
