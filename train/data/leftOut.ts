import { basename, dirname } from 'node:path';
import type { DataError } from './errors.ts';

/** A file (or folder) that is left out, and why. */
export interface Skipped {
  readonly file: string;
  /** The end of a sentence that begins with the file. */
  readonly problem: string;
  /** Set for what is certainly a picture: its format, and what must be done before it can be read. */
  readonly picture?: { readonly kind: string; readonly way: keyof typeof WAYS };
}

/** What is left out because it could not be read (or written), from the error whose message names it. */
export function skippedFor(file: string, error: DataError): Skipped {
  const problem = error.message.replace(file, '').replace(/; remove or replace it$/, '');
  return { file, problem: problem.trim() };
}

/** What to do with pictures that are not read, said behind their formats, of one and of many. */
const WAYS = {
  convert: [': convert it to JPEG or PNG', ': convert them to JPEG or PNG'],
  rename: [', which its name does not say: rename it', ', which their names do not say: rename them'],
} as const;

/** Names listed before the rest is only counted. */
const NAMED = 3;

/**
 * What is left out, in sentences. Pictures that only need to be converted or renamed come by the hundred (a
 * phone's HEIC): one sentence for each folder counts them and names the first. Anything else has its own.
 */
export function leftOutSentences(skipped: readonly Skipped[]): string[] {
  const groups = new Map<string, Skipped[]>();
  const sentences: string[] = [];
  for (const entry of skipped) {
    if (!entry.picture) sentences.push(`${entry.file} ${entry.problem}; left out`);
    else {
      const key = `${entry.picture.way} ${dirname(entry.file)}`;
      groups.set(key, [...(groups.get(key) ?? []), entry]);
    }
  }
  return [...sentences, ...[...groups.values()].map(countedSentence)];
}

function countedSentence(entries: readonly Skipped[]): string {
  const kinds = [...new Set(entries.map(({ picture }) => picture!.kind))].join(', ');
  const one = entries.length === 1;
  const advice = WAYS[entries[0].picture!.way][one ? 0 : 1];
  const names = listed(entries.map(({ file }) => basename(file)));
  const count = one ? '1 file is' : `${entries.length} files are`;
  return `${dirname(entries[0].file)}: ${count} left out: ${names} (${kinds}${advice})`;
}

/** `a`, `a and b`, `a, b and c`, `a, b, c and 5 more`. */
function listed(names: readonly string[]): string {
  const parts = names.slice(0, NAMED);
  if (names.length > NAMED) parts.push(`${names.length - NAMED} more`);
  const last = parts.pop()!;
  return parts.length > 0 ? `${parts.join(', ')} and ${last}` : last;
}
