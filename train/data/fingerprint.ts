import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { countPictures, type Source } from './source.ts';

/**
 * What the order in which a run sees its training pictures depends on. Kept with a run, it tells whether a
 * continued run sees the pictures that it was started with. Where they are does not matter.
 */
export interface DataFingerprint {
  /** Training pictures of each domain. */
  readonly trainA: number;
  readonly trainB: number;
  /** Over the names (below their folder, in order) and sizes in bytes of both domains' training pictures. */
  readonly sha256: string;
}

/** The fingerprint of a data set (see openDataset). Looks at the sizes of files, not into them. */
export async function dataFingerprint(data: { trainA: Source; trainB: Source }): Promise<DataFingerprint> {
  const hash = createHash('sha256');
  for (const source of [data.trainA, data.trainB]) {
    for (const line of await listing(source)) hash.update(`${line}\n`);
    hash.update('\n');
  }
  const [trainA, trainB] = [countPictures(data.trainA), countPictures(data.trainB)];
  return { trainA, trainB, sha256: hash.digest('hex') };
}

/** A line for each picture: `name size`, as JSON, so that no name can be mistaken for two. */
export async function listing(source: Source): Promise<string[]> {
  if (source.kind === 'toy')
    return [JSON.stringify([source.domain, source.split, source.seed, source.count])];
  const lines: string[] = [];
  const portion = 64; // files looked at at a time
  for (let start = 0; start < source.files.length; start += portion) {
    const some = source.files.slice(start, start + portion);
    const sizes = await Promise.all(some.map(sizeOf));
    some.forEach((file, i) => {
      lines.push(JSON.stringify([relative(source.label, file).replaceAll(sep, '/'), sizes[i]]));
    });
  }
  return lines;
}

/** Null for a file that has vanished. */
const sizeOf = (file: string): Promise<number | null> =>
  stat(file).then(
    ({ size }) => size,
    () => null,
  );

/**
 * How the training pictures differ from those that a run was started with, as the end of a sentence; null
 * when they do not.
 */
export function fingerprintChange(before: DataFingerprint, now: DataFingerprint): string | null {
  const counts = (['trainA', 'trainB'] as const)
    .filter((split) => before[split] !== now[split])
    .map((split) => `${split} had ${before[split]} pictures and has ${now[split]}`);
  if (counts.length > 0) return counts.join(', ');
  return before.sha256 === now.sha256 ? null : 'some pictures have other names or sizes';
}
