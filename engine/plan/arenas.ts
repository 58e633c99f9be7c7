import { type Lifetime, ORDERS } from './lifetimes.ts';

/** Memory that is needed from one launch to another. */
export interface Claim extends Lifetime {
  readonly id: number;
}

/** Where a claim lies. */
export interface Place {
  readonly arena: number;
  readonly offset: number;
}

/** Claims laid out in a few large buffers. */
export interface Packing {
  readonly places: ReadonlyMap<number, Place>;
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
}

/** Claims that must lie in different buffers, by id, both ways. */
export type Conflicts = ReadonlyMap<number, ReadonlySet<number>>;

/** Offsets of bindings: the largest minStorageBufferOffsetAlignment that WebGPU allows. */
const ALIGNMENT = 256;

interface Held extends Claim {
  readonly offset: number;
}

interface Arena {
  bytes: number;
  /** By offset. */
  readonly held: Held[];
}

interface Spot {
  readonly arena: number;
  readonly offset: number;
  /** Bytes the arena grows by. */
  readonly growth: number;
}

const overlap = (a: Claim, b: Claim) => a.first <= b.last && b.first <= a.last;

/** The tightest gap between what the arena holds during a claim's life, else the place behind all of it. */
function spotIn({ bytes, held }: Arena, claim: Claim): Omit<Spot, 'arena'> {
  let end = 0;
  let best = -1;
  let tightest = Number.POSITIVE_INFINITY;
  for (const other of held) {
    if (!overlap(other, claim)) continue;
    const gap = other.offset - end;
    if (gap >= claim.bytes && gap < tightest) {
      tightest = gap;
      best = end;
    }
    end = Math.max(end, other.offset + other.bytes);
  }
  if (best >= 0) return { offset: best, growth: 0 };
  return { offset: end, growth: Math.max(0, end + claim.bytes - bytes) };
}

/** The arena that grows least by the claim, among those it may lie in; null where there is none. */
function bestSpot(arenas: readonly Arena[], claim: Claim, taken: Set<number>, limit: number): Spot | null {
  let best: Spot | null = null;
  arenas.forEach((arena, i) => {
    if (taken.has(i) || best?.growth === 0) return;
    const spot = spotIn(arena, claim);
    if (arena.bytes + spot.growth > limit && spot.growth > 0) return;
    if (!best || spot.growth < best.growth) best = { arena: i, ...spot };
  });
  return best;
}

function hold(arena: Arena, claim: Held): void {
  const { held } = arena;
  let low = 0;
  for (let high = held.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (held[middle].offset < claim.offset) low = middle + 1;
    else high = middle;
  }
  held.splice(low, 0, claim);
  arena.bytes = Math.max(arena.bytes, claim.offset + claim.bytes);
}

type Order = (a: Claim, b: Claim) => number;

/** Puts one claim after the other where the arenas grow least; up to `most` arenas open before they must. */
function pack(claims: readonly Claim[], conflicts: Conflicts, order: Order, most: number, limit: number) {
  const arenas: Arena[] = [];
  const places = new Map<number, Place>();
  for (const claim of [...claims].sort(order)) {
    const taken = new Set<number>();
    for (const other of conflicts.get(claim.id) ?? []) {
      const place = places.get(other);
      if (place) taken.add(place.arena);
    }
    let spot = bestSpot(arenas, claim, taken, limit);
    if (!spot || (spot.growth >= claim.bytes && arenas.length < most)) {
      spot = { arena: arenas.push({ bytes: 0, held: [] }) - 1, offset: 0, growth: claim.bytes };
    }
    hold(arenas[spot.arena], { ...claim, offset: spot.offset });
    places.set(claim.id, { arena: spot.arena, offset: spot.offset });
  }
  return { places, arenas: arenas.map(({ bytes }) => bytes) };
}

/** Numbers of buffers to try. */
const MOST_ARENAS = [4, 8];

/**
 * Lays claims out in a few buffers. WebGPU refuses a buffer that one dispatch both reads and writes, even
 * at disjoint offsets, so claims that meet in such a dispatch go to different arenas: a graph colouring on
 * top of the greedy packing by size (Pisarchyk and Lee 2020, arXiv 2001.03288). The smallest of several.
 * @param limit bytes of an arena, unless one claim alone is larger
 */
export function packArenas(claims: readonly Claim[], conflicts: Conflicts, limit: number): Packing {
  const aligned = claims.map((c) => ({ ...c, bytes: Math.ceil(c.bytes / ALIGNMENT) * ALIGNMENT }));
  const sum = ({ arenas }: Packing) => arenas.reduce((total, bytes) => total + bytes, 0);
  const all = ORDERS.flatMap((order) =>
    MOST_ARENAS.map((most) => pack(aligned, conflicts, order, most, limit)),
  );
  return all.reduce((best, packing) => (sum(packing) < sum(best) ? packing : best));
}
