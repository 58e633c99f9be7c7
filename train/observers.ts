import { existsSync } from 'node:fs';
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';

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

/** Writes `metrics.csv`: a header, then step, learning rate and every loss term, one line an iteration. */
export function metricsFile(path: string): Observer {
  return {
    async steps(records) {
      if (records.length === 0) return;
      const names = Object.keys(records[0].losses);
      const lines = records.map(({ step, lr, losses }) =>
        [step, lr, ...names.map((n) => losses[n])].join(','),
      );
      if (!existsSync(path)) lines.unshift(['step', 'lr', ...names].join(','));
      await appendFile(path, `${lines.join('\n')}\n`);
    },
  };
}

/**
 * Drops the lines after `step` (and a half-written one), so that a resumed run does not repeat iterations.
 */
export async function rewindMetrics(path: string, step: number): Promise<void> {
  if (!existsSync(path)) return;
  const [header, ...lines] = (await readFile(path, 'utf8')).split('\n');
  const columns = header.split(',').length;
  const kept = lines.filter(
    (line) => line.split(',').length === columns && Number.parseInt(line, 10) <= step,
  );
  await writeFile(`${path}.tmp`, `${[header, ...kept].join('\n')}\n`);
  await rename(`${path}.tmp`, path);
}
