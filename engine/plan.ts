import type { Launch } from './recorder.ts';
import { bytesOf, rootOf, type Tensor } from './tensor.ts';

/** First and last launch that touch an intermediate tensor. */
interface Interval {
  readonly tensor: Tensor;
  readonly bytes: number;
  readonly first: number;
  last: number;
}

/** Which buffer each intermediate gets; sizes of those buffers; and how good the plan is. */
export interface MemoryPlan {
  readonly slotOf: Map<number, number>;
  readonly slotBytes: number[];
  /** Sum of the buffers. */
  readonly bytes: number;
  /** Largest sum of tensors alive at one launch: no plan can do with less. */
  readonly lowerBound: number;
}

/** Drops launches whose results nobody reads: neither a kept tensor nor a persistent one is written. */
export function pruneLaunches(launches: readonly Launch[], keep: readonly Tensor[]): Launch[] {
  const needed = new Set(keep.map((t) => rootOf(t).id));
  const kept: Launch[] = [];
  for (const item of [...launches].reverse()) {
    const useful = item.bindings.some((t, i) => {
      const root = rootOf(t);
      return item.writes[i] && (root.storage !== null || needed.has(root.id));
    });
    if (!useful) continue;
    kept.push(item);
    for (const t of item.bindings) needed.add(rootOf(t).id);
  }
  return kept.reverse();
}

function intervalsOf(launches: readonly Launch[], keep: readonly Tensor[]): Interval[] {
  const byId = new Map<number, Interval>();
  launches.forEach((item, at) => {
    for (const binding of item.bindings) {
      const tensor = rootOf(binding);
      if (tensor.storage) continue;
      const known = byId.get(tensor.id);
      if (known) known.last = at;
      else byId.set(tensor.id, { tensor, bytes: align(bytesOf(tensor)), first: at, last: at });
    }
  });
  for (const tensor of keep) {
    const known = byId.get(rootOf(tensor).id);
    if (known) known.last = launches.length;
  }
  return [...byId.values()];
}

function align(bytes: number): number {
  return Math.ceil(Math.max(bytes, 16) / 16) * 16;
}

function largestLive(intervals: readonly Interval[], steps: number): number {
  const change = new Float64Array(steps + 2);
  for (const { first, last, bytes } of intervals) {
    change[first] += bytes;
    change[last + 1] -= bytes;
  }
  let live = 0;
  let most = 0;
  for (const delta of change) most = Math.max(most, (live += delta));
  return most;
}

/**
 * Assigns intermediates to whole buffers (WebGPU refuses one buffer bound for reading and writing in one
 * dispatch, so ranges of one arena would not do). Largest tensors first, each into the buffer free over its
 * lifetime whose size fits best: "greedy by size", Pisarchyk and Lee 2020, arXiv 2001.03288.
 */
export function planMemory(launches: readonly Launch[], keep: readonly Tensor[]): MemoryPlan {
  const intervals = intervalsOf(launches, keep);
  const slots: { bytes: number; held: Interval[] }[] = [];
  const slotOf = new Map<number, number>();
  const bySize = [...intervals].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  for (const interval of bySize) {
    let best = -1;
    slots.forEach((slot, i) => {
      const free = slot.held.every((h) => h.last < interval.first || h.first > interval.last);
      if (free && (best < 0 || slot.bytes < slots[best].bytes)) best = i;
    });
    if (best < 0) best = slots.push({ bytes: interval.bytes, held: [] }) - 1;
    slots[best].held.push(interval);
    slotOf.set(interval.tensor.id, best);
  }
  const slotBytes = slots.map((slot) => slot.bytes);
  const bytes = slotBytes.reduce((sum, b) => sum + b, 0);
  return { slotOf, slotBytes, bytes, lowerBound: largestLive(intervals, launches.length) };
}
