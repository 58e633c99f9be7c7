/** Losses of one iteration, by name: `D.loss`, `G.recon_A`, … */
export interface StepRecord {
  readonly step: number;
  readonly lr: number;
  readonly losses: Readonly<Record<string, number>>;
}

/**
 * Someone who watches a run: progress bar, metrics file, later a page or TensorBoard. The loop calls these
 * and knows nothing else about them; all are optional and awaited.
 */
export interface Observer {
  /** After the steps since the last call have been computed, oldest first. */
  steps?(records: readonly StepRecord[]): void | Promise<void>;
  /** After a sample grid was written. */
  sample?(step: number, files: readonly string[]): void | Promise<void>;
  /** After a checkpoint was written. */
  checkpoint?(step: number, file: string): void | Promise<void>;
  /** Something a user should know that does not end the run: a picture left out, a damaged checkpoint. */
  warning?(message: string): void;
  /** While kernels are timed against each other, before a new run. */
  tuning?(done: number, total: number): void;
  /** Once it is settled which kernels the run uses: a hash of the tuner's choices, and how many there are. */
  kernels?(hash: string, chosen: number): void;
  /** While kernels compile, before the first step. */
  compiling?(done: number, total: number): void;
  /** When the run ends, however it ends. */
  end?(): void | Promise<void>;
}

/** Calls one method on every observer, in order. */
export async function tell<K extends 'steps' | 'sample' | 'checkpoint' | 'end'>(
  observers: readonly Observer[],
  method: K,
  ...args: Parameters<NonNullable<Observer[K]>>
): Promise<void> {
  for (const observer of observers) {
    await (observer[method] as ((...a: unknown[]) => unknown) | undefined)?.call(observer, ...args);
  }
}

export type Warn = (message: string) => void;

/** Tells every observer. */
export function warner(observers: readonly Observer[]): Warn {
  return (message) => {
    for (const o of observers) o.warning?.(message);
  };
}
