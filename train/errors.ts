import { AdawnError } from '../engine/errors.ts';
import { systemReason } from './formats/file.node.ts';

/** A run that cannot go on or must not start: what happened, and what to do. */
export class TrainingError extends AdawnError {}

/** Runs `work` on files; a failed system call becomes one sentence: `what: why, advice`. */
export async function onFiles<T>(what: string, advice: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (typeof (cause as NodeJS.ErrnoException).syscall !== 'string') throw cause;
    throw new TrainingError(`${what}: ${systemReason(cause)}; ${advice}`, { cause });
  }
}
