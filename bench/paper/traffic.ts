import {
  addFlagsOf,
  bytesOf,
  type Launch,
  offsetInRoot,
  rootOf,
  storageOf,
  type Tensor,
} from '../../engine/index.ts';
import type { Work } from './work.ts';

/** Bytes a launch touches, each once. */
export interface Traffic {
  readonly read: number;
  readonly written: number;
  /** Of what is read, what no launch before has left in the cache. */
  readonly missed: number;
}

/** What was touched, latest last, so that what lies between two uses can be counted. */
export interface CacheState {
  readonly capacity: number;
  readonly latest: Map<string, number>;
  readonly touched: { readonly key: string; readonly bytes: number }[];
  /** Numbers of the buffers that live on. */
  readonly buffers: Map<GPUBuffer, number>;
}

export function emptyCache(capacity: number): CacheState {
  return { capacity, latest: new Map(), touched: [], buffers: new Map() };
}

/** Names a range of memory: of a buffer that lives on, else of an intermediate, which shares with none. */
function rangeOf({ buffers }: CacheState, tensor: Tensor): string {
  const storage = storageOf(tensor);
  if (!storage) return `${rootOf(tensor).id}+${offsetInRoot(tensor)}`;
  const number = buffers.get(storage.buffer) ?? buffers.size;
  buffers.set(storage.buffer, number);
  return `buffer ${number}+${storage.offset}`;
}

/**
 * Whether a range is still in the cache: with what was touched since, it fits in. What is written counts as
 * touched, and what is dead does too, as nobody tells the cache.
 */
function isCached({ capacity, latest, touched }: CacheState, key: string, bytes: number): boolean {
  const last = latest.get(key);
  if (last === undefined) return false;
  let sum = bytes;
  for (let i = touched.length - 1; i > last && sum <= capacity; i--) {
    if (latest.get(touched[i].key) === i) sum += touched[i].bytes;
  }
  return sum <= capacity;
}

function touch({ latest, touched }: CacheState, key: string, bytes: number): void {
  latest.set(key, touched.push({ key, bytes }) - 1);
}

/** Bindings that a kernel reads and writes: as its rule says, and where it adds to what one holds. */
function rereadBy({ kernel }: Launch, { inPlace }: Work): Set<number> {
  const flags = kernel ? [...addFlagsOf(kernel)] : [];
  return new Set([...inPlace, ...flags.filter(([, flag]) => kernel!.constants[flag]).map(([slot]) => slot)]);
}

/** Counts a launch's bytes, and leaves them in the cache. */
export function trafficOf(cache: CacheState, launch: Launch, work: Work): Traffic {
  const reread = rereadBy(launch, work);
  const seen = new Map<string, number>();
  let [read, written, missed] = [0, 0, 0];
  launch.bindings.forEach((tensor, i) => {
    const bytes = work.touches[i] ?? bytesOf(tensor);
    const key = rangeOf(cache, tensor);
    if (bytes === 0 || seen.has(key)) return;
    seen.set(key, bytes);
    if (launch.writes[i]) written += bytes;
    if (launch.writes[i] && !reread.has(i)) return;
    read += bytes;
    if (!isCached(cache, key, bytes)) missed += bytes;
  });
  for (const [key, bytes] of seen) touch(cache, key, bytes);
  return { read, written, missed };
}
