import { AdawnError } from '../../engine/errors.ts';

/**
 * What went wrong with a picture, a folder or the picture stream, in one clear sentence that names the file
 * and the way out. Shown to users as it stands, without a stack trace.
 */
export class DataError extends AdawnError {}

/** The message of anything thrown, on one line. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim();
}
