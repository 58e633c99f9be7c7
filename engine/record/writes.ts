import { bytesOf, rootOf, storageOf, type Tensor } from './tensor.ts';

/** First and latest launch, counted from 1, that wrote an intermediate. */
interface Written {
  first: number;
  latest: number;
}

/** A range of a buffer that lives on, and the latest launch, counted from 1, that wrote just this range. */
interface WrittenRange {
  readonly offset: number;
  readonly end: number;
  latest: number;
}

/**
 * Which launches of the program being recorded wrote which memory: tells whether a value is still the same.
 */
export interface Writes {
  /** By id of the tensor that owns the memory. */
  readonly intermediates: Map<number, Written>;
  /** By buffer, then by range. */
  readonly buffers: Map<GPUBuffer, Map<string, WrittenRange>>;
}

export function noWrites(): Writes {
  return { intermediates: new Map(), buffers: new Map() };
}

/** Notes that launch number `launch` (counted from 1) writes a tensor. */
export function noteWrite(writes: Writes, tensor: Tensor, launch: number): void {
  const storage = storageOf(tensor);
  if (!storage) {
    const { id } = rootOf(tensor);
    const known = writes.intermediates.get(id);
    if (known) known.latest = launch;
    else writes.intermediates.set(id, { first: launch, latest: launch });
    return;
  }
  const { buffer, offset } = storage;
  const end = offset + bytesOf(tensor);
  let ranges = writes.buffers.get(buffer);
  if (!ranges) writes.buffers.set(buffer, (ranges = new Map()));
  const key = `${offset} ${end}`;
  const known = ranges.get(key);
  if (known) known.latest = Math.max(known.latest, launch);
  else ranges.set(key, { offset, end, latest: launch });
}

/** When an intermediate was written, as the tensor that owns its memory; null where no launch wrote it. */
export function writtenAt(writes: Writes, tensor: Tensor): Readonly<Written> | null {
  return writes.intermediates.get(rootOf(tensor).id) ?? null;
}

/** The latest launch, counted from 1, that wrote any of a tensor's memory; 0 where none did. */
export function latestWrite(writes: Writes, tensor: Tensor): number {
  const storage = storageOf(tensor);
  if (!storage) return writtenAt(writes, tensor)?.latest ?? 0;
  const { buffer, offset } = storage;
  const end = offset + bytesOf(tensor);
  let latest = 0;
  for (const range of writes.buffers.get(buffer)?.values() ?? []) {
    if (range.offset < end && offset < range.end) latest = Math.max(latest, range.latest);
  }
  return latest;
}
