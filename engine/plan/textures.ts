import type { Extent } from '../device/pool.ts';
import { extentBytes, type Interval, ORDERS } from './lifetimes.ts';

/** The smallest extent that holds `a`, and `b` from a layer on. */
function join(a: Extent, b: Extent, layer: number): Extent {
  return {
    width: Math.max(a.width, b.width),
    height: Math.max(a.height, b.height),
    layers: Math.max(a.layers, layer + b.layers),
  };
}

/** An interval in a texture, from a layer on. */
interface Held {
  readonly interval: Interval;
  readonly layer: number;
}

/** A texture and those that live in it, one after the other or in other layers. */
export interface Filling {
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

/**
 * Finds the texture that needs the fewest extra bytes to hold `interval`, and the first free layer in it.
 * Ties go to the smaller texture; null means that a texture of its own is no dearer.
 */
function bestSlot(slots: readonly Filling[], interval: Interval): { slot: Filling; layer: number } | null {
  let best: { slot: Filling; layer: number } | null = null;
  let least = interval.bytes; // a texture of its own
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

/** As they come, besides. */
const TEXTURE_ORDERS: readonly Order[] = [...ORDERS, (a, b) => a.first - b.first || b.bytes - a.bytes];

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

/**
 * Shares textures among intervals that do not live at the same time, and layers of textures among those that
 * do: the way that takes the fewest bytes of those tried.
 */
export function fillTextures(intervals: readonly Interval[]): Filling[] {
  const bytes = (slots: readonly Filling[]) => slots.reduce((sum, s) => sum + extentBytes(s.extent), 0);
  const all = TEXTURE_ORDERS.map((order) => fill(intervals, order));
  return all.reduce((best, slots) => (bytes(slots) < bytes(best) ? slots : best));
}
