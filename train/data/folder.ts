import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { isDirectory, resolveData, SPLITS, type Split } from './dataPath.ts';
import { probeFile } from './decode.ts';
import { DataError } from './errors.ts';
import type { FileSource, Source } from './source.ts';
import { type ToyOptions, toyDataset } from './toy/dataset.ts';

/** The extensions a folder scan takes, in any case: the authors' and the two that phones and cameras add. */
export const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'];

/** A file that is left out, and why. */
export interface Skipped {
  readonly file: string;
  readonly problem: string;
}

export interface Dataset extends Record<Split, Source> {
  readonly name: string;
  /** Files that are no pictures although their names say so. */
  readonly skipped: readonly Skipped[];
}

export interface OpenOptions {
  /** Where data sets named without a path are; default `dataset`. */
  dataRoot?: string;
  /** The folders that must hold pictures; the others may be empty or missing. Default trainA and trainB. */
  need?: readonly Split[];
  /** Told once about each file left out; default console.warn. */
  warn?: (message: string) => void;
  /** For the drawn data set. */
  toy?: ToyOptions;
}

/**
 * Finds a data set (see resolveData) and lists its pictures. Files that are plainly no pictures (empty, LFS
 * pointers, web pages) are reported by name and left out; damage further inside shows when they are decoded.
 * Throws DataError when a needed folder is missing or has no picture left.
 */
export async function openDataset(nameOrPath: string, options: OpenOptions = {}): Promise<Dataset> {
  const { need = ['trainA', 'trainB'], warn = console.warn } = options;
  const location = await resolveData(nameOrPath, options.dataRoot);
  if (location.note) warn(location.note);
  if (location.kind === 'toy') return { ...toyDataset(options.toy), skipped: [] };
  const { name, path } = location;
  const skipped: Skipped[] = [];
  const sources = {} as Record<Split, FileSource>;
  for (const split of SPLITS) {
    const folder = join(path, split);
    const found = await openFolder(folder);
    skipped.push(...found.skipped);
    if (need.includes(split)) demandPictures(folder, path, found);
    sources[split] = found.source;
  }
  for (const { file, problem } of skipped) warn(`${file} ${problem}; left out`);
  return { name, ...sources, skipped };
}

function demandPictures(folder: string, root: string, found: OpenedFolder): void {
  if (found.source.files.length > 0) return;
  if (!found.exists) {
    throw new DataError(
      `${root} has no folder ${folder.slice(root.length + 1)}: a data set holds ${SPLITS.join(', ')} ` +
        '("npx tsx cli/data.ts prepare" makes one from folders of pictures)',
    );
  }
  const bad = found.skipped.length > 0 ? ` (${found.skipped.length} unreadable)` : '';
  throw new DataError(`${folder} holds no pictures${bad}: put some there (${EXTENSIONS.join(' ')})`);
}

export interface OpenedFolder {
  readonly source: FileSource;
  readonly skipped: readonly Skipped[];
  readonly exists: boolean;
}

/** The pictures of one folder, looked at briefly: those whose first bytes are no picture's are left out. */
export async function openFolder(folder: string): Promise<OpenedFolder> {
  const exists = await isDirectory(folder);
  const files = exists ? await scanFolder(folder) : [];
  const good: string[] = [];
  const skipped: Skipped[] = [];
  const portion = 64; // open files at a time
  for (let start = 0; start < files.length; start += portion) {
    const some = files.slice(start, start + portion);
    const probes = await Promise.all(some.map(probeFile));
    probes.forEach((probe, i) => {
      if ('problem' in probe) skipped.push({ file: some[i], problem: probe.problem });
      else good.push(some[i]);
    });
  }
  return { source: { kind: 'files', label: folder, files: good }, skipped, exists };
}

/**
 * The picture files of a folder and its subfolders in the authors' order (Python's sorted(os.walk)): folders
 * sorted by path, names sorted within each, both by code point. Told by extension; hidden files and folders
 * are passed over, and linked folders are not followed (they could lead in circles).
 */
export async function scanFolder(folder: string): Promise<string[]> {
  const found: { root: string; names: string[] }[] = [];
  const visit = async (root: string): Promise<void> => {
    const names: string[] = [];
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const path = join(root, entry.name);
      if (entry.isDirectory()) await visit(path);
      else if (EXTENSIONS.includes(extname(entry.name).toLowerCase())) {
        if (entry.isFile() || (await stat(path).catch(() => undefined))?.isFile()) names.push(entry.name);
      }
    }
    found.push({ root, names: names.sort(byCodePoint) });
  };
  await visit(folder);
  found.sort((a, b) => byCodePoint(a.root, b.root));
  return found.flatMap(({ root, names }) => names.map((name) => join(root, name)));
}

/** Python's string order. UTF-8 keeps it; JavaScript's `<` goes by UTF-16 units. */
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
