import { choiceKey } from '../device/choice.ts';
import type { Device } from '../device/device.ts';
import { choicesOf, type TuneOptions, tune } from './tune.ts';
import { readTuned, writeTuned } from './tuneCache.node.ts';

/** off: defaults by adapter; auto: what the cache has, and timing for the rest; force: timing for all. */
export const TUNE_MODES = ['off', 'auto', 'force'] as const;
export type TuneMode = (typeof TUNE_MODES)[number];

/** The mode where none is asked for: on a processor the defaults are as good as what a tuner finds. */
export function defaultMode(device: Pick<Device, 'isCpu'>): TuneMode {
  return device.isCpu ? 'off' : 'auto';
}

/**
 * Finds the best kernels for a piece of work, from the cache and by timing, and has the device use them.
 * @param work records the work on the paper device it is given
 * @returns what the work's choices are now, by key; to be kept where a run must use the same again
 * @throws the reason of `options.stop` when that is aborted; what was timed until then is in the cache
 */
export async function tuneFor(
  device: Device,
  mode: TuneMode,
  work: (paper: Device) => void,
  options: TuneOptions = {},
): Promise<Record<string, string>> {
  useTuned(device, {});
  if (mode === 'off') return {};
  const { warn = () => {} } = options;
  const choices = choicesOf(device, work);
  const known = mode === 'force' ? new Map<string, string>() : await readTuned(device, warn);
  const keyOf = ({ op, sizes }: (typeof choices)[number]) => choiceKey(op, sizes);
  const missing = choices.filter((choice) => !known.has(keyOf(choice)));
  if (missing.length > 0) {
    const best = await tune(device, missing, options);
    for (const [key, variant] of best) known.set(key, variant);
    await writeTuned(device, best, warn);
    options.stop?.throwIfAborted();
  }
  const own = choices.map(keyOf).filter((key) => known.has(key));
  const result = Object.fromEntries(own.map((key) => [key, known.get(key)!]));
  useTuned(device, result);
  return result;
}

/** Has the device use variants that were found before, and no others. */
export function useTuned(device: Device, tuned: Readonly<Record<string, string>>): void {
  device.tuning.best.clear();
  for (const [key, variant] of Object.entries(tuned)) device.tuning.best.set(key, variant);
}
