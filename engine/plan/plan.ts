import type { Extent } from '../device/pool.ts';
import type { Launch } from '../record/recorder.ts';
import { rootOf, type Tensor } from '../record/tensor.ts';
import { type Claim, packArenas } from './arenas.ts';
import { extentBytes, intervalsOf, largestLive } from './lifetimes.ts';
import { fillTextures } from './textures.ts';

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
    ({ tensor, bytes, first, last }): Claim => ({ id: tensor.id, bytes, first, last }),
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
