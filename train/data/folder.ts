import { basename, join } from 'node:path';
import { parseColour } from './colour.ts';
import { isDirectory, resolveData, SPLITS, type Split } from './dataPath.ts';
import { probeFile } from './decode.ts';
import { DataError } from './errors.ts';
import { leftOutSentences, type Skipped } from './leftOut.ts';
import { commandOf, manifestPath, readManifest } from './manifest.ts';
import { scanFolder } from './scan.ts';
import { EXTENSIONS, type Sniffed } from './sniff.ts';
import type { FileSource, Source } from './source.ts';
import { type ToyOptions, toyDataset } from './toy/dataset.ts';

export interface Dataset extends Record<Split, Source> {
  readonly name: string;
  /** The folder that was found under the name; absent for the drawn data set. */
  readonly path?: string;
  /** Files that are left out, and why. */
  readonly skipped: readonly Skipped[];
}

export interface OpenOptions {
  /** Where data sets named without a path are; default `dataset`. */
  dataRoot?: string;
  /** The folders that must hold pictures; the others may be empty or missing. Default trainA and trainB. */
  need?: readonly Split[];
  /** What shows through transparent pictures, as in CSS (`white`); default: alpha is dropped. */
  background?: string;
  /** Whether a data set whose preparation did not finish is opened all the same, with a warning. */
  unfinished?: boolean;
  /** Told once what is left out, and what else one should know of the data set; default console.warn. */
  warn?: (message: string) => void;
  /** Whether `warn` is told what is left out (default), or that is in `skipped` only. */
  nameLeftOut?: boolean;
  /** For the drawn data set. */
  toy?: ToyOptions;
}

/**
 * Finds a data set (see resolveData) and lists its pictures. Files that are plainly no pictures (empty, LFS
 * pointers, web pages) are reported by name and left out; damage further inside shows when they are decoded.
 * Throws DataError when a needed folder is missing or has no picture left, and for a data set that `prepare`
 * has not finished.
 */
export async function openDataset(nameOrPath: string, options: OpenOptions = {}): Promise<Dataset> {
  const { need = ['trainA', 'trainB'], warn = console.warn } = options;
  const location = await resolveData(nameOrPath, options.dataRoot);
  if (location.note) warn(location.note);
  if (location.kind === 'toy') return { ...toyDataset(options.toy), skipped: [] };
  const { name, path } = location;
  const background = options.background === undefined ? undefined : await parseColour(options.background);
  const half = await halfMade(path);
  if (half && !options.unfinished) throw new DataError(half);
  if (half) warn(half);
  const skipped: Skipped[] = [];
  const sources = {} as Record<Split, FileSource>;
  for (const split of SPLITS) {
    const folder = join(path, split);
    const found = await openFolder(folder);
    skipped.push(...found.skipped);
    if (need.includes(split)) demandPictures(folder, path, found);
    sources[split] = { ...found.source, background };
  }
  if (options.nameLeftOut ?? true) for (const sentence of leftOutSentences(skipped)) warn(sentence);
  return { name, path, ...sources, skipped };
}

/** What to say of a data set whose preparation was stopped; null for any other. */
async function halfMade(folder: string): Promise<string | null> {
  const manifest = await readManifest(folder);
  if (!manifest || manifest.finished) return null;
  return (
    `${folder} is half made: preparing its ${manifest.pictures} pictures did not finish; go on with ` +
    `"${commandOf(manifest, folder)}" (or delete ${manifestPath(folder)} to use what is there)`
  );
}

function demandPictures(folder: string, root: string, found: OpenedFolder): void {
  if (found.source.files.length > 0) return;
  if (!found.exists) {
    throw new DataError(
      `${root} has no folder ${basename(folder)}: a data set holds ${SPLITS.join(', ')} ` +
        '("npx tsx cli/data.ts prepare" makes one from folders of pictures)',
    );
  }
  throw new DataError(noPictures(folder, found.skipped));
}

/** The sentence for a folder without a picture that can be read; what was left out of it is said behind. */
export function noPictures(folder: string, skipped: readonly Skipped[]): string {
  const unread = skipped.find(({ file }) => file === folder);
  if (unread) return `${folder} ${unread.problem}`;
  const sentences = leftOutSentences(skipped);
  const first = sentences.slice(0, 5);
  if (sentences.length > first.length) first.push(`and ${sentences.length - first.length} more`);
  const none = sentences.length > 0 ? 'no pictures that can be read' : 'no pictures';
  const what = `${folder} holds ${none}: put some there (${EXTENSIONS.join(' ')})`;
  return [what, ...first].join('\n  ');
}

export interface OpenedFolder {
  readonly source: FileSource;
  readonly skipped: readonly Skipped[];
  readonly exists: boolean;
}

/**
 * The pictures of one folder, looked at briefly: those whose first bytes are no picture's are left out, and
 * so are pictures of kinds that are not read, whatever the names of either.
 */
export async function openFolder(folder: string): Promise<OpenedFolder> {
  if (!(await isDirectory(folder))) {
    return { source: { kind: 'files', label: folder, files: [] }, skipped: [], exists: false };
  }
  const { files, others, skipped } = await scanFolder(folder);
  const named = await probeAll(files);
  const good = files.filter((_, i) => 'format' in named[i]);
  const bad = files.flatMap((file, i) => leftOut(file, named[i]) ?? []);
  const unnamed = await probeAll(others);
  const misnamed = others.flatMap((file, i) => withoutName(file, unnamed[i]) ?? []);
  return {
    source: { kind: 'files', label: folder, files: good },
    skipped: [...skipped, ...bad, ...misnamed],
    exists: true,
  };
}

async function probeAll(files: readonly string[]): Promise<Sniffed[]> {
  const probes: Sniffed[] = [];
  const portion = 64; // open files at a time
  for (let start = 0; start < files.length; start += portion) {
    probes.push(...(await Promise.all(files.slice(start, start + portion).map(probeFile))));
  }
  return probes;
}

function leftOut(file: string, probe: Sniffed): Skipped | null {
  if ('format' in probe) return null;
  const { problem, foreign } = probe;
  return foreign ? { file, problem, picture: { kind: foreign, way: 'convert' } } : { file, problem };
}

/** A file with no picture's name that is a picture all the same: a download, a backup, a name cut short. */
function withoutName(file: string, probe: Sniffed): Skipped | null {
  if ('problem' in probe) return probe.foreign && probe.foreign !== 'SVG' ? leftOut(file, probe) : null;
  if (probe.format === 'bmp' || probe.format === 'pnm') return null; // two letters make no picture
  const kind = probe.format.toUpperCase();
  return { file, problem: `is a ${kind} picture without a picture's name`, picture: { kind, way: 'rename' } };
}
