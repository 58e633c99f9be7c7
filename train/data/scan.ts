import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { systemReason } from '../formats/file.node.ts';
import type { Skipped } from './leftOut.ts';
import { isPictureName } from './sniff.ts';

/** What there is in a folder and the folders below it. */
export interface Scan {
  /** Files whose names say that they are pictures, in the authors' order. */
  readonly files: readonly string[];
  /** All other files, hidden ones excepted, in the same order. */
  readonly others: readonly string[];
  /** Folders and links that cannot be read. */
  readonly skipped: readonly Skipped[];
}

/** A folder being scanned. */
interface Walk {
  readonly folders: { root: string; names: string[] }[];
  readonly skipped: Skipped[];
  /** Links to folders, followed when all else has been seen. */
  readonly links: string[];
  /** Real paths of the folders visited. */
  readonly seen: Set<string>;
}

/**
 * Lists a folder and its subfolders in the authors' order (Python's sorted(os.walk)): folders sorted by path,
 * names sorted within each, both by code point. Hidden files and folders are passed over. Linked folders are
 * followed, each real folder once, so that links cannot lead in circles. A folder that cannot be read costs
 * itself alone.
 */
export async function scanFolder(folder: string): Promise<Scan> {
  const walk: Walk = { folders: [], skipped: [], links: [], seen: new Set() };
  await visit(folder, walk);
  await followLinks(folder, walk);
  walk.folders.sort((a, b) => byCodePoint(a.root, b.root));
  const all = walk.folders.flatMap(({ root, names }) =>
    names.map((name) => ({ path: join(root, name), named: isPictureName(name) })),
  );
  const paths = (named: boolean) => all.filter((file) => file.named === named).map(({ path }) => path);
  return { files: paths(true), others: paths(false), skipped: walk.skipped };
}

/** Real folders have been seen before: a picture keeps its real path where it has one below `folder`. */
async function followLinks(folder: string, walk: Walk): Promise<void> {
  const inside = (path: string) => (path.endsWith(sep) ? path : `${path}${sep}`);
  const top = inside(await realpath(folder).catch(() => folder));
  while (walk.links.length > 0) {
    const link = walk.links.sort(byCodePoint).shift()!;
    const real = await realpath(link).catch(() => null); // it was there a moment ago
    const upwards = real !== null && top.startsWith(inside(real));
    if (real !== null && !upwards && !walk.seen.has(real)) await visit(link, walk);
  }
}

async function visit(root: string, walk: Walk): Promise<void> {
  const names: string[] = [];
  try {
    walk.seen.add(await realpath(root));
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const path = join(root, entry.name);
      const kind = entry.isSymbolicLink() ? await behindLink(path, walk) : kindOf(entry);
      if (kind === 'file') names.push(entry.name);
      else if (kind === 'folder' && entry.isSymbolicLink()) walk.links.push(path);
      else if (kind === 'folder') await visit(path, walk);
    }
  } catch (error) {
    walk.skipped.push({ file: root, problem: `cannot be read: ${systemReason(error)}` });
  }
  walk.folders.push({ root, names: names.sort(byCodePoint) });
}

type Kind = 'file' | 'folder' | 'neither';

const kindOf = (entry: Pick<Dirent, 'isFile' | 'isDirectory'>): Kind =>
  entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'neither';

/** What a link leads to; a link that leads nowhere is named. */
async function behindLink(path: string, walk: Walk): Promise<Kind> {
  try {
    return kindOf(await stat(path));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing
      ? 'is a link to something that is not there'
      : `cannot be read: ${systemReason(error)}`;
    walk.skipped.push({ file: path, problem: why });
    return 'neither';
  }
}

/** Python's string order. UTF-8 keeps it; JavaScript's `<` goes by UTF-16 units. */
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
