import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, sep } from 'node:path';
import { systemReason } from '../formats/file.node.ts';
import { canonicalPath, isDirectory, SPLITS, type Split } from './dataPath.ts';
import { decodeFile } from './decode.ts';
import { DataError } from './errors.ts';
import { listing } from './fingerprint.ts';
import { noPictures, openFolder } from './folder.ts';
import type { Skipped } from './leftOut.ts';
import { changedOptions, commandOf, type Manifest, type PrepareOptions, readManifest } from './manifest.ts';
import { nameKey } from './names.ts';
import { keyedRandom, shuffled } from './random.ts';
import { scanFolder } from './scan.ts';

/** A picture to be made: where from, and where to. */
export interface Job {
  readonly from: string;
  readonly to: string;
}

export interface Plan {
  readonly target: string;
  /** All pictures of the data set. */
  readonly jobs: readonly Job[];
  /** Those of them that a preparation which was stopped has made already, by where they are. */
  readonly made: ReadonlySet<string>;
  /** Files left out so far: no pictures that can be read. */
  readonly skipped: readonly Skipped[];
  readonly manifest: Manifest;
}

/**
 * Plans a data set in `target` from folders of pictures: two folders (A and B), or one that holds either the
 * standard layout, which is kept, or exactly two folders, which become A and B in alphabetical order. A
 * preparation that was stopped is gone on with when its options and its pictures are the same. Throws
 * DataError when there is nothing to prepare, or when `target` holds other pictures already.
 */
export async function planPreparation(
  sources: readonly string[],
  target: string,
  options: PrepareOptions,
): Promise<Plan> {
  const before = await readManifest(target);
  const begun = before && !before.finished && (await countTarget(target)) > 0;
  if (!begun) await demandNoPictures(target);
  const jobs: Job[] = [];
  const skipped: Skipped[] = [];
  const hash = createHash('sha256');
  for (const { folder, splits } of await findSources(sources, target)) {
    const found = await openFolder(folder);
    skipped.push(...found.skipped);
    if (!found.exists) throw new DataError(`there is no folder ${folder}`);
    if (found.source.files.length === 0) throw new DataError(noPictures(folder, found.skipped));
    hash.update(`${(await listing(found.source)).join('\n')}\n\n`);
    jobs.push(...assign(found.source.files, splits, target, options));
  }
  const manifest: Manifest = {
    ...({ adawn: 'prepared data set', finished: false } as const),
    ...{ sources, options, pictures: jobs.length, sha256: hash.digest('hex') },
  };
  if (begun) demandSame(before, manifest, target);
  const made = begun ? await findMade(jobs, options.size) : new Set<string>();
  return { target, jobs, made, skipped, manifest };
}

function demandSame(before: Manifest, now: Manifest, target: string): void {
  const changed = changedOptions(before.options, now.options);
  const again = `go on with "${commandOf(before, target)}", or choose another folder`;
  if (changed) throw new DataError(`${target} is half made, begun with ${changed}: ${again}`);
  if (before.sha256 === now.sha256) return;
  throw new DataError(
    `${target} is half made, from pictures that have changed since (${before.pictures} then, ` +
      `${now.pictures} now): remove it, or choose another folder`,
  );
}

/**
 * The pictures that an earlier preparation has made. A file of such a name that is no finished picture is not
 * its work (pictures appear whole or not at all), so it is left to the user; only an empty file, all that a
 * power cut may leave of a picture, is made again.
 */
async function findMade(jobs: readonly Job[], size: number): Promise<Set<string>> {
  const made = new Set<string>();
  const look = async ({ to }: Job) => {
    const bytes = (await stat(to).catch(() => null))?.size ?? 0;
    if (bytes === 0) return;
    const picture = await decodeFile(to).catch(() => null);
    if (picture?.width !== size || picture.height !== size) {
      throw new DataError(`${to} is in the way: it is no picture of this preparation; move it away`);
    }
    made.add(to);
  };
  const portion = 16; // pictures in memory at a time
  for (let start = 0; start < jobs.length; start += portion) {
    await Promise.all(jobs.slice(start, start + portion).map(look));
  }
  return made;
}

/** A folder of pictures and the split (or training and test split) that it goes into. */
interface SourceFolder {
  readonly folder: string;
  readonly splits: readonly [Split] | readonly [train: Split, test: Split];
}

async function findSources(sources: readonly string[], target: string): Promise<SourceFolder[]> {
  if (sources.length === 2) {
    const place = await canonicalPath(target);
    for (const folder of sources) {
      if (!`${place}${sep}`.startsWith(`${await canonicalPath(folder)}${sep}`)) continue;
      throw new DataError(`${target} lies inside ${folder}, whose pictures it is made from: choose another`);
    }
    return pair(sources[0], sources[1]);
  }
  const [root] = sources;
  const folders = await foldersIn(root, await canonicalPath(target));
  if (folders.includes('trainA') && folders.includes('trainB')) {
    const present = SPLITS.filter((split) => folders.includes(split));
    return present.map((split) => ({ folder: join(root, split), splits: [split] }));
  }
  if (folders.length === 2) {
    const [a, b] = folders.sort();
    return pair(join(root, a), join(root, b));
  }
  throw new DataError(
    `${root} holds ${folders.length} folders: give two folders of pictures, A and B, ` +
      'or one that holds just those two',
  );
}

/** The folders in `root`, linked ones too; not hidden ones and not `except`. */
async function foldersIn(root: string, except: string): Promise<string[]> {
  const names = await readdir(root).catch((error: unknown) => {
    throw new DataError(`the folder ${root} cannot be read: ${systemReason(error)}`);
  });
  const folders: string[] = [];
  for (const name of names.filter((n) => !n.startsWith('.'))) {
    const path = join(root, name);
    if ((await isDirectory(path)) && (await canonicalPath(path)) !== except) folders.push(name);
  }
  return folders;
}

const pair = (a: string, b: string): SourceFolder[] => [
  { folder: a, splits: ['trainA', 'testA'] },
  { folder: b, splits: ['trainB', 'testB'] },
];

/** Pictures in the four folders of a data set. */
async function countTarget(target: string): Promise<number> {
  const scans = await Promise.all(SPLITS.map((split) => scanFolder(join(target, split))));
  return scans.reduce((sum, { files }) => sum + files.length, 0);
}

/** Throws a DataError when the folders of a data set hold pictures: those are not to be mixed with others. */
export async function demandNoPictures(target: string): Promise<void> {
  for (const split of SPLITS) {
    const folder = join(target, split);
    const { length } = (await scanFolder(folder)).files;
    if (length === 0) continue;
    const pictures = length === 1 ? '1 picture' : `${length} pictures`;
    throw new DataError(`${folder} holds ${pictures} already: choose another name or remove it`);
  }
}

/** Draws the test pictures (at least one, at least one left to train) and gives all their new names. */
function assign(
  files: readonly string[],
  splits: SourceFolder['splits'],
  target: string,
  { test, seed }: PrepareOptions,
): Job[] {
  const [first, second] = splits;
  const wanted = second ? Math.round(files.length * test) : 0;
  const count = test > 0 && second && files.length > 1 ? Math.min(files.length - 1, Math.max(1, wanted)) : 0;
  const chosen = new Set(
    shuffled(files.length, keyedRandom(seed, first === 'trainA' ? 0 : 1)).subarray(0, count),
  );
  const taken = new Set<string>();
  return files.map((from, i) => {
    const stem = basename(from, extname(from));
    let name = stem;
    for (let n = 2; taken.has(nameKey(name)); n++) name = `${stem}-${n}`;
    taken.add(nameKey(name));
    return { from, to: join(target, chosen.has(i) && second ? second : first, `${name}.png`) };
  });
}
