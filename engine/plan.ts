import type { Launch } from './recorder.ts';
import { bytesOf, type Extent, rootOf, type Tensor } from './tensor.ts';

/** First and last launch that touch an intermediate tensor. */
interface Interval {
  readonly tensor: Tensor;
  readonly extent: Extent;
  readonly first: number;
  last: number;
}

/** A buffer (of `width` vec4f) or a texture of the plan. */
export interface Slot {
  readonly kind: 'buffer' | 'texture';
  readonly extent: Extent;
}

/** Which slot each intermediate gets; what those slots are; and how good the plan is. */
export interface MemoryPlan {
  readonly slotOf: Map<number, number>;
  readonly slots: readonly Slot[];
  /** Sum of the slots. */
  readonly bytes: number;
  /** Largest sum of buffers alive at one launch, and of textures: no plan can do with less. */
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
      else byId.set(tensor.id, { tensor, extent: extentOf(tensor), first: at, last: at });
    }
  });
  for (const tensor of keep) {
    const known = byId.get(rootOf(tensor).id);
    if (known) known.last = launches.length;
  }
  return [...byId.values()];
}

function extentOf(tensor: Tensor): Extent {
  return tensor.texture ?? { width: Math.ceil(Math.max(bytesOf(tensor), 16) / 16), height: 1, layers: 1 };
}

function extentBytes({ width, height, layers }: Extent): number {
  return width * height * layers * 16;
}

/** The smallest extent that holds both. */
function join(a: Extent, b: Extent): Extent {
  return {
    width: Math.max(a.width, b.width),
    height: Math.max(a.height, b.height),
    layers: Math.max(a.layers, b.layers),
  };
}

function largestLive(intervals: readonly Interval[], steps: number): number {
  const change = new Float64Array(steps + 2);
  for (const { first, last, extent } of intervals) {
    change[first] += extentBytes(extent);
    change[last + 1] -= extentBytes(extent);
  }
  let live = 0;
  let most = 0;
  for (const delta of change) most = Math.max(most, (live += delta));
  return most;
}

interface Filling {
  readonly kind: Slot['kind'];
  extent: Extent;
  readonly held: Interval[];
}

/** The slot of this kind that is free over the interval and grows least by it; among equals the smallest. */
function bestSlot(slots: readonly Filling[], interval: Interval, kind: Slot['kind']): number {
  let best = -1;
  let least = extentBytes(interval.extent); // a slot of its own
  slots.forEach((slot, i) => {
    if (slot.kind !== kind) return;
    if (slot.held.some((h) => h.last >= interval.first && h.first <= interval.last)) return;
    const bytes = extentBytes(slot.extent);
    const growth = extentBytes(join(slot.extent, interval.extent)) - bytes;
    if (growth > least || (growth === least && (best < 0 || bytes >= extentBytes(slots[best].extent))))
      return;
    least = growth;
    best = i;
  });
  return best;
}

type Order = (a: Interval, b: Interval) => number;

const bytesHeld = ({ extent }: Interval) => extentBytes(extent);
const lifetime = ({ first, last }: Interval) => last - first + 1;

/** Orders of filling: none is best for every program, and all are quick. */
const ORDERS: readonly Order[] = [
  (a, b) => bytesHeld(b) - bytesHeld(a) || a.first - b.first,
  (a, b) => bytesHeld(b) - bytesHeld(a) || lifetime(b) - lifetime(a),
  (a, b) => bytesHeld(b) * lifetime(b) - bytesHeld(a) * lifetime(a) || a.first - b.first,
  (a, b) => a.first - b.first || bytesHeld(b) - bytesHeld(a),
];

/** Puts each interval, in the given order, into the slot free over its lifetime that fits best. */
function fill(intervals: readonly Interval[], order: Order): Filling[] {
  const slots: Filling[] = [];
  for (const interval of [...intervals].sort(order)) {
    const kind = interval.tensor.texture ? 'texture' : 'buffer';
    let best = bestSlot(slots, interval, kind);
    if (best < 0) best = slots.push({ kind, extent: interval.extent, held: [] }) - 1;
    slots[best].extent = join(slots[best].extent, interval.extent);
    slots[best].held.push(interval);
  }
  return slots;
}

const totalBytes = (slots: readonly Slot[]) =>
  slots.reduce((sum, { extent }) => sum + extentBytes(extent), 0);

/** The fullest filling of those tried. */
function bestFilling(intervals: readonly Interval[]): Filling[] {
  const all = ORDERS.map((order) => fill(intervals, order));
  return all.reduce((best, slots) => (totalBytes(slots) < totalBytes(best) ? slots : best));
}

/**
 * Assigns intermediates to whole buffers (WebGPU refuses one buffer bound for reading and writing in one
 * dispatch, so ranges of one arena would not do), and those that live in textures to textures. Greedy, by
 * size (Pisarchyk and Lee 2020, arXiv 2001.03288) and by some other orders, of which the smallest result is
 * taken. A texture may grow to hold tensors of other proportions where that costs least.
 */
export function planMemory(launches: readonly Launch[], keep: readonly Tensor[]): MemoryPlan {
  const intervals = intervalsOf(launches, keep);
  const ofKind = (isTexture: boolean) =>
    intervals.filter(({ tensor }) => (tensor.texture !== null) === isTexture);
  const kinds = [ofKind(true), ofKind(false)];
  const slots = kinds.flatMap(bestFilling);
  const slotOf = new Map<number, number>();
  slots.forEach(({ held }, i) => {
    for (const { tensor } of held) slotOf.set(tensor.id, i);
  });
  const lowerBound = kinds.reduce((sum, kind) => sum + largestLive(kind, launches.length), 0);
  return { slotOf, slots, bytes: totalBytes(slots), lowerBound };
}
