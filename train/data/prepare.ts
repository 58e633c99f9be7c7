import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { SPLITS, type Split } from './dataPath.ts';
import { decodeFile } from './decode.ts';
import { DataError } from './errors.ts';
import { openFolder, type Skipped, scanFolder } from './folder.ts';
import { cropSquare } from './picture.ts';
import { writePng } from './png.ts';
import { keyedRandom, shuffled } from './random.ts';
import { resizeBilinear } from './resize.ts';

export interface PrepareOptions {
  /** Side of the pictures written. */
  size: number;
  /** Share of a domain that becomes test pictures, 0..1. */
  test: number;
  /** Decides which. */
  seed: number;
  /** Cut the largest centred square first (default), or squeeze the whole picture into one. */
  crop?: boolean;
}

/** A picture to be made: where from, and where to. */
interface Job {
  readonly from: string;
  readonly to: string;
}

export interface Plan {
  readonly jobs: readonly Job[];
  /** Files left out so far: no pictures although their names say so. */
  readonly skipped: readonly Skipped[];
}

/**
 * Plans a data set in `target` from folders of pictures: two folders (A and B), or one that holds either the
 * standard layout, which is kept, or exactly two folders, which become A and B in alphabetical order. Throws
 * DataError when there is nothing to prepare, or when `target` holds pictures already.
 */
export async function planPreparation(
  sources: readonly string[],
  target: string,
  options: PrepareOptions,
): Promise<Plan> {
  await demandEmpty(target);
  const jobs: Job[] = [];
  const skipped: Skipped[] = [];
  for (const { folder, splits } of await findSources(sources)) {
    const found = await openFolder(folder);
    skipped.push(...found.skipped);
    if (!found.exists) throw new DataError(`there is no folder ${folder}`);
    const { files } = found.source;
    if (files.length === 0) throw new DataError(`${folder} holds no pictures`);
    jobs.push(...assign(files, splits, target, options));
  }
  return { jobs, skipped };
}

/** A folder of pictures and the split (or training and test split) that it goes into. */
interface SourceFolder {
  readonly folder: string;
  readonly splits: readonly [Split] | readonly [train: Split, test: Split];
}

async function findSources(sources: readonly string[]): Promise<SourceFolder[]> {
  if (sources.length === 2) return pair(sources[0], sources[1]);
  const [root] = sources;
  const entries = await readdir(root, { withFileTypes: true }).catch(() => {
    throw new DataError(`there is no folder ${root}`);
  });
  const folders = entries.filter((e) => e.isDirectory() && !e.name.startsWith('.')).map((e) => e.name);
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

const pair = (a: string, b: string): SourceFolder[] => [
  { folder: a, splits: ['trainA', 'testA'] },
  { folder: b, splits: ['trainB', 'testB'] },
];

async function demandEmpty(target: string): Promise<void> {
  for (const split of SPLITS) {
    const folder = join(target, split);
    const files = await scanFolder(folder).catch(() => []);
    if (files.length > 0) {
      throw new DataError(
        `${folder} holds ${files.length} pictures already: choose another name or remove it`,
      );
    }
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
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${stem}-${n}`;
    taken.add(name.toLowerCase());
    return { from, to: join(target, chosen.has(i) && second ? second : first, `${name}.png`) };
  });
}

/** Makes one picture of a plan: decodes, crops, resizes, writes. Throws DataError when it is unreadable. */
export async function preparePicture({ from, to }: Job, options: PrepareOptions): Promise<void> {
  const picture = await decodeFile(from);
  const square = options.crop === false ? picture : cropSquare(picture);
  await writePng(to, resizeBilinear(square, options.size, options.size));
}
