import { createReadStream, existsSync } from 'node:fs';
import { appendFile, rm, stat, truncate } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { onFiles } from './errors.ts';

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

/** Writes `metrics.csv`: a header, then step, learning rate and every loss term, one line an iteration. */
export function metricsFile(path: string): Observer {
  return {
    async steps(records) {
      if (records.length === 0) return;
      // Nine digits tell any two float32 numbers apart.
      const show = (value: number) => Number(value.toPrecision(9));
      const names = Object.keys(records[0].losses);
      const lines = records.map(({ step, lr, losses }) =>
        [step, lr, ...names.map((n) => show(losses[n]))].join(','),
      );
      if (!existsSync(path)) lines.unshift(['step', 'lr', ...names].join(','));
      await onFiles(`cannot write ${path}`, 'make room or check its permissions', () =>
        appendFile(path, `${lines.join('\n')}\n`),
      );
    },
  };
}

/** Cuts off the lines after `step` (and a half-written one), so that a resumed run repeats no iteration. */
export async function rewindMetrics(path: string, step: number): Promise<void> {
  if (!existsSync(path)) return;
  const { size } = await stat(path);
  let columns = 0;
  let end = 0;
  for await (const line of createInterface({ input: createReadStream(path, 'latin1') })) {
    columns ||= line.split(',').length;
    const good = end === 0 ? line.startsWith('step,') : Number.parseInt(line, 10) <= step;
    const after = end + line.length + 1;
    if (!good || line.split(',').length !== columns || after > size) break;
    end = after;
  }
  if (end === 0) await rm(path);
  else await truncate(path, end);
}
