import { recorder, writtenBy } from './recorder.ts';
import { bytesOf, rootOf, type Tensor } from './tensor.ts';
import { takes } from './undecided.ts';

/** On a GPU a result that was not used for this many launches is made again rather than kept, … */
const IDLE_LAUNCHES = 256;
/** … if its sources have at least so many bytes. */
const LARGE_BYTES = 2 ** 20;

/**
 * Computes `make()` once as long as no launch writes one of `sources` in between (a weight packed for the
 * forward pass serves the way back). On a GPU it is made again where its sources are large and its last use
 * is long ago: moving a weight once more costs it little, and keeping all of them from the first use to the
 * last takes a quarter of a step's memory. On a processor it costs some ms a weight, and memory is plentiful.
 */
export function memoised<T>(key: string, sources: Tensor[], make: () => T): T {
  const { memo, launches, device } = recorder();
  const full = `${key}:${sources.map((s) => s.id).join(',')}`;
  const now = writtenBy(sources);
  const known = memo.get(full);
  const bytes = sources.reduce((sum, source) => sum + bytesOf(source), 0);
  const stays = device.isCpu || bytes < LARGE_BYTES || takes('memo', 'kept');
  if (known?.versions.every((v, i) => v === now[i])) {
    if (stays || launches.length - known.used <= IDLE_LAUNCHES) {
      known.used = launches.length;
      return known.value as T;
    }
  }
  const value = make();
  memo.set(full, { value, sources, versions: now, used: launches.length });
  return value;
}

/**
 * What `build` gives, forgetting what was memoised of activations meanwhile (padded pictures, tiles); what
 * comes of weights stays.
 */
export function forgettingActivations<T>(build: () => T): T {
  const { memo } = recorder();
  const before = new Map(memo);
  const result = build();
  for (const [key, known] of memo) {
    if (before.get(key) === known || known.sources.every((s) => rootOf(s).storage !== null)) continue;
    memo.delete(key);
  }
  return result;
}
