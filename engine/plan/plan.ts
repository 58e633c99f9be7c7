import type { Extent } from '../device/pool.ts';
import type { Launch } from '../record/recorder.ts';
import { bytesOf, rootOf, type Tensor } from '../record/tensor.ts';
import { type Claim, packArenas } from './arenas.ts';

/** First and last launch that touch an intermediate tensor. */
interface Interval {
  readonly tensor: Tensor;
  readonly extent: Extent;
  readonly first: number;
  last: number;
}

/** What an intermediate lives in: a part of a buffer, or some layers of a texture. */
export interface Room {
  readonly slot: number;
  /** Bytes from the start of the buffer, or the first layer of the texture. */
  readonly offset: number;
}

/** A buffer or a texture of the plan. */
export type Slot =
  | { readonly kind: 'buffer'; readonly bytes: number }
  | { readonly kind: 'texture'; readonly extent: Extent };

/** Where each intermediate lives, by id; what in; and how good the plan is. */
export interface MemoryPlan {
  readonly rooms: ReadonlyMap<number, Room>;
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

/** The smallest extent that holds `a`, and `b` from a layer on. */
function join(a: Extent, b: Extent, layer: number): Extent {
  return {
    width: Math.max(a.width, b.width),
    height: Math.max(a.height, b.height),
    layers: Math.max(a.layers, layer + b.layers),
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

/** An interval in a texture, from a layer on. */
interface Held {
  readonly interval: Interval;
  readonly layer: number;
}

/** A texture and those that live in it, one after the other or in other layers. */
interface Filling {
  extent: Extent;
  readonly held: Held[];
}

/** Layers of a texture that every adapter allows. */
const MOST_LAYERS = 256;

/** The lowest free layers of a texture over the interval: the first of them, maybe behind the last one. */
function freeLayer({ held }: Filling, { first, last, extent }: Interval): number {
  const taken = held.filter(({ interval: h }) => h.last >= first && h.first <= last);
  let end = 0;
  for (const { interval, layer } of taken.sort((a, b) => a.layer - b.layer)) {
    if (layer - end >= extent.layers) return end;
    end = Math.max(end, layer + interval.extent.layers);
  }
  return end;
}

/** The texture that grows least by the interval, and the layer; among equals the smallest. Null: its own. */
function bestSlot(slots: readonly Filling[], interval: Interval): { slot: Filling; layer: number } | null {
  let best: { slot: Filling; layer: number } | null = null;
  let least = extentBytes(interval.extent); // a texture of its own
  for (const slot of slots) {
    const bytes = extentBytes(slot.extent);
    const layer = freeLayer(slot, interval);
    const joined = join(slot.extent, interval.extent, layer);
    const growth = extentBytes(joined) - bytes;
    if (joined.layers > Math.max(MOST_LAYERS, slot.extent.layers) || growth > least) continue;
    // What gains nothing stays apart: drivers find room for small pieces easily.
    if (growth === least && (!best || bytes >= extentBytes(best.slot.extent))) continue;
    least = growth;
    best = { slot, layer };
  }
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

/** Puts each interval, in the given order, into the layers free over its lifetime that fit best. */
function fill(intervals: readonly Interval[], order: Order): Filling[] {
  const slots: Filling[] = [];
  for (const interval of [...intervals].sort(order)) {
    let best = bestSlot(slots, interval);
    if (!best) {
      best = { slot: { extent: interval.extent, held: [] }, layer: 0 };
      slots.push(best.slot);
    }
    const { slot, layer } = best;
    slot.extent = join(slot.extent, interval.extent, layer);
    slot.held.push({ interval, layer });
  }
  return slots;
}

/** The fullest filling of those tried. A texture may grow to hold others where that costs least. */
function fillTextures(intervals: readonly Interval[]): Filling[] {
  const bytes = (slots: readonly Filling[]) => slots.reduce((sum, s) => sum + extentBytes(s.extent), 0);
  const all = ORDERS.map((order) => fill(intervals, order));
  return all.reduce((best, slots) => (bytes(slots) < bytes(best) ? slots : best));
}

/** Intermediates that one launch reads and another that it writes, which must not share a buffer. */
function conflictsOf(launches: readonly Launch[]): Map<number, Set<number>> {
  const conflicts = new Map<number, Set<number>>();
  const note = (a: number, b: number) => {
    const known = conflicts.get(a);
    if (known) known.add(b);
    else conflicts.set(a, new Set([b]));
  };
  for (const { bindings, writes } of launches) {
    const ids = bindings.map((t) => rootOf(t).id);
    ids.forEach((written, i) => {
      if (!writes[i]) return;
      ids.forEach((read, j) => {
        if (writes[j]) return;
        note(written, read);
        note(read, written);
      });
    });
  }
  return conflicts;
}

/** Bytes of one buffer of the plan, unless a tensor alone is larger: drivers find such a piece easily. */
const LARGEST_ARENA = 2 ** 30;

/**
 * Assigns intermediates to parts of a few buffers, and those that live in textures to layers
 * of textures (WebGPU tracks the use of each layer by itself).
 * @param maxBuffer bytes of the largest buffer the adapter allows
 */
export function planMemory(
  launches: readonly Launch[],
  keep: readonly Tensor[],
  maxBuffer: number,
): MemoryPlan {
  const intervals = intervalsOf(launches, keep);
  const textures = intervals.filter(({ tensor }) => tensor.texture);
  const buffers = intervals.filter(({ tensor }) => !tensor.texture);
  const claims = buffers.map(
    ({ tensor, extent, first, last }): Claim => ({ id: tensor.id, bytes: extentBytes(extent), first, last }),
  );
  const limit = Math.min(maxBuffer, LARGEST_ARENA);
  const { places, arenas } = packArenas(claims, conflictsOf(launches), limit);
  const filled = fillTextures(textures);
  const rooms = new Map<number, Room>();
  for (const [id, { arena, offset }] of places) rooms.set(id, { slot: arena, offset });
  filled.forEach(({ held }, i) => {
    for (const { interval, layer } of held) {
      rooms.set(interval.tensor.id, { slot: arenas.length + i, offset: layer });
    }
  });
  const slots: Slot[] = [
    ...arenas.map((bytes): Slot => ({ kind: 'buffer', bytes })),
    ...filled.map(({ extent }): Slot => ({ kind: 'texture', extent })),
  ];
  const bytes = slots.reduce((sum, s) => sum + (s.kind === 'buffer' ? s.bytes : extentBytes(s.extent)), 0);
  const lowerBound = [textures, buffers].reduce((sum, kind) => sum + largestLive(kind, launches.length), 0);
  return { rooms, slots, bytes, lowerBound };
}
