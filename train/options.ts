import type { UgatitConfig } from '../model/ugatit.ts';

/**
 * What decides the numbers of a run: equal options, seed and adapter give equal bits. Kept in config.json.
 */
export interface RunConfig {
  /** Data set: a name below the data root, a path, or `toy-cat2dog`. */
  readonly data: string;
  readonly dataRoot: string;
  readonly model: UgatitConfig;
  /** Iterations of the whole schedule. */
  readonly iterations: number;
  readonly lr: number;
  readonly seed: number;
  readonly augment: boolean;
  readonly shuffle: boolean;
  /** File the weights came from, or null for a random start. */
  readonly init: string | null;
}

/** What may differ between a run and its continuation. */
export interface LoopOptions {
  /** Folder of the run. */
  readonly out: string;
  readonly resume: boolean;
  /** End after this many more iterations; Infinity: at the end of the schedule. */
  readonly stopAfter: number;
  readonly sampleEvery: number;
  readonly saveEvery: number;
  /** Checkpoints to keep. */
  readonly keep: number;
  readonly threads?: number;
}
