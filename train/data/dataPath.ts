import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { DataError } from './errors.ts';
import { TOY_NAME } from './toy/dataset.ts';

/** The four folders of a data set, as the authors name them. */
export const SPLITS = ['trainA', 'trainB', 'testA', 'testB'] as const;
export type Split = (typeof SPLITS)[number];

/** Where a data set is: a folder, or our own drawings. */
export type DataLocation = { readonly note?: string } & (
  | { readonly kind: 'toy' }
  | { readonly kind: 'folder'; readonly name: string; readonly path: string }
);

/** How a run names its data set: as its configuration keeps it. */
export interface DataName {
  /** `toy-cat2dog`, a name below `dataRoot`, or a path. */
  readonly data: string;
  readonly dataRoot: string;
}

/**
 * Finds the data set that a user means by `nameOrPath`. An absolute path, or one that begins with `./` or
 * `../`, is that folder and nothing else. Anything else is `toy-cat2dog`, a folder below `dataRoot`, or a
 * folder below the working folder, whichever of these there is first; where a later one fits as well, `note`
 * says which was taken. Throws a DataError with three lines of help when there is none.
 */
export async function resolveData(nameOrPath: string, dataRoot = 'dataset'): Promise<DataLocation> {
  const found: string[] = [];
  for (const path of placesOf(nameOrPath, dataRoot)) {
    if (await isDirectory(path)) found.push(path);
  }
  if (nameOrPath === TOY_NAME) {
    if (found.length === 0) return { kind: 'toy' };
    const other = asPath(found[0]);
    return { kind: 'toy', note: `${TOY_NAME} is drawn by adawn; write ${other} for the folder ${found[0]}` };
  }
  if (found.length === 0)
    throw new DataError(`${missing(nameOrPath, dataRoot)}\n${help(nameOrPath, dataRoot)}`);
  const [path, other] = found;
  const location = { kind: 'folder', name: dataName(path), path } as const;
  if (other === undefined || (await sameFolder(path, other))) return location;
  const otherPath = asPath(other);
  const taken = `${path} was taken (write ${otherPath} for the other)`;
  return { ...location, note: `${path} and ${otherPath} are both folders: ${taken}` };
}

/** The folders that a data set of this name could be, the first choice first. */
function placesOf(nameOrPath: string, dataRoot: string): string[] {
  if (isPath(nameOrPath)) return [nameOrPath];
  return [join(dataRoot, nameOrPath), nameOrPath];
}

/** Whether this can only be meant as a path: `/x`, `./x`, `../x`, `.`, `..`. */
const isPath = (text: string): boolean => isAbsolute(text) || /^\.\.?([\\/]|$)/.test(text);

/** The same relative path, written so that it cannot be taken for a name. */
const asPath = (path: string): string => (isPath(path) ? path : `./${path}`);

/** What a data set at this path is called: the last part of the path. */
export const dataName = (path: string): string => basename(resolve(path)) || 'data';

export const isDirectory = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false;

/**
 * The one absolute path of a file or folder, however it is written: links followed, `.`, `..` and trailing
 * slashes resolved, capitals as on the disk where the file system does not tell them apart. What does not
 * exist (yet) keeps its name below the part that does.
 */
export async function canonicalPath(path: string): Promise<string> {
  const whole = resolve(path);
  const parent = dirname(whole);
  try {
    return await realpath(whole);
  } catch {
    return parent === whole ? whole : join(await canonicalPath(parent), basename(whole));
  }
}

/** Whether two paths lead to the same file or folder. */
export async function sameFolder(a: string, b: string): Promise<boolean> {
  return (await canonicalPath(a)) === (await canonicalPath(b));
}

/**
 * Whether two names mean the same data set, however each is written. A data set that is not there (any more)
 * is the same only as one that is named alike.
 */
export async function sameData(a: DataName, b: DataName): Promise<boolean> {
  const find = ({ data, dataRoot }: DataName) => resolveData(data, dataRoot).catch(() => null);
  const [first, second] = await Promise.all([find(a), find(b)]);
  if (first?.kind === 'folder' && second?.kind === 'folder') return sameFolder(first.path, second.path);
  if (first || second) return first?.kind === second?.kind;
  const places = ({ data, dataRoot }: DataName) => placesOf(data, dataRoot).map((path) => resolve(path));
  return places(a).join('\n') === places(b).join('\n');
}

function missing(nameOrPath: string, dataRoot: string): string {
  if (/[\\/]/.test(nameOrPath)) return `there is no data set folder ${nameOrPath}`;
  const below = join(dataRoot, nameOrPath);
  return `there is no data set "${nameOrPath}": neither ${below} nor ./${nameOrPath} is a folder`;
}

/** Where the data sets of the paper come from. */
const origins: Record<string, string> = {
  selfie2anime: 'see "Dataset" at https://github.com/taki0112/UGATIT',
  cat2dog: 'see "Datasets" at https://github.com/HsinYingLee/DRIT',
};

/** Three lines: where to get the data, how to use one's own, and what works without any. */
function help(nameOrPath: string, dataRoot: string): string {
  const name = dataName(nameOrPath);
  const origin =
    origins[name] ??
    'horse2zebra, vangogh2photo and others: https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/';
  return [
    `  get it: ${origin}; unpack it so that ${join(dataRoot, name)} holds ${SPLITS.join(', ')}`,
    `  or use your own pictures: npx tsx cli/data.ts prepare PICTURES_A PICTURES_B ${join(dataRoot, name)}`,
    `  or start without any: the data set "${TOY_NAME}" is drawn by adawn itself`,
  ].join('\n');
}
