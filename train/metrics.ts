import { createReadStream, existsSync } from 'node:fs';
import { open, rm, stat, truncate } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { onFiles } from './errors.ts';
import { systemReason } from './formats/file.node.ts';
import type { Observer, StepRecord, Warn } from './observers.ts';

/** What the first line of every metrics.csv begins with. */
const HEAD = 'step,lr,';

/** While the file cannot be written, this many milliseconds pass between two attempts. */
const RETRY_MS = 10_000;

/** Appends to a file, with `head` in front where it is new or empty; what fails half-way is taken back. */
async function append(path: string, head: string, text: string): Promise<void> {
  const handle = await open(path, 'a');
  try {
    const { size } = await handle.stat();
    try {
      await handle.writeFile(size === 0 ? head + text : text);
    } catch (error) {
      await handle.truncate(size).catch(() => {});
      throw error;
    }
  } finally {
    await handle.close();
  }
}

/** Nine digits tell any two float32 numbers apart. */
const show = (value: number) => Number(value.toPrecision(9));

/**
 * Writes `metrics.csv`: a header, then step, learning rate and every loss term, one line an iteration. While
 * the file cannot be written (a full disk, a program that locks it), the lines wait in memory.
 */
export function metricsFile(path: string, warn: Warn, now = () => performance.now()): Observer {
  const waiting: StepRecord[] = [];
  let next = 0;
  let warned = false;
  const write = async () => {
    const names = Object.keys(waiting[0].losses);
    const lines = waiting.map(({ step, lr, losses }) => [step, lr, ...names.map((n) => show(losses[n]))]);
    await append(path, `${HEAD}${names.join(',')}\n`, `${lines.map((l) => l.join(',')).join('\n')}\n`);
    waiting.length = 0;
  };
  return {
    async steps(records) {
      waiting.push(...records);
      if (waiting.length === 0 || now() < next) return;
      await write().catch((error: unknown) => {
        next = now() + RETRY_MS;
        if (!warned)
          warn(`${path} cannot be written: ${systemReason(error)}; its lines are kept until it can be`);
        warned = true;
      });
    },
    async end() {
      if (waiting.length === 0) return;
      await write().catch((error: unknown) => {
        const [first, last] = [waiting[0].step, waiting[waiting.length - 1].step];
        warn(`${path} lacks the iterations ${first} to ${last}: ${systemReason(error)}`);
      });
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
    const good = end === 0 ? line.startsWith(HEAD) : Number.parseInt(line, 10) <= step;
    const after = end + line.length + 1;
    if (!good || line.split(',').length !== columns || after > size) break;
    end = after;
  }
  if (end === size) return;
  await onFiles(`cannot write ${path}`, 'make room or check its permissions', () =>
    end === 0 ? rm(path) : truncate(path, end),
  );
}

/** What a file of this name says, as far as adawn can tell. */
export interface MetricsContent {
  /** Empty, or with the header that adawn writes (or the part of it that an interrupted write left). */
  readonly ours: boolean;
  /** The last iteration in it; 0 where there is none. */
  readonly last: number;
}

/** Looks into a metrics.csv; null where there is none. */
export async function readMetrics(path: string): Promise<MetricsContent | null> {
  if (!existsSync(path)) return null;
  let lines = 0;
  let ours = true;
  let last = 0;
  for await (const line of createInterface({ input: createReadStream(path, 'latin1') })) {
    if (lines++ === 0) ours = line.startsWith(HEAD) || HEAD.startsWith(line);
    last = Number.parseInt(line, 10) || last;
    if (!ours) break;
  }
  return { ours, last };
}
