import { UsageError } from '../cli/common/run.ts';
import { UNDECIDED, type Variants } from '../engine/index.ts';

const known: Readonly<Record<string, readonly string[]>> = UNDECIDED;

/** What `--force` can be given. */
export const forceable = Object.entries(known)
  .map(([name, ways]) => `${name}=${ways.join('|')}`)
  .join(', ');

/**
 * `memo=kept,tileLanes=pairs` as variants of a device.
 * @throws UsageError for a name or a way that is unknown.
 */
export function forcedOf(text: string | undefined): Variants {
  if (text === undefined) return {};
  const pairs = text.split(',').map((pair) => pair.trim().split('='));
  const wrong = pairs.find(([name, way]) => !Object.hasOwn(known, name) || !known[name].includes(way));
  if (wrong) throw new UsageError(`--force ${text}: ${wrong.join('=')} is none of ${forceable}`);
  return Object.fromEntries(pairs);
}
