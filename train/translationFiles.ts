/** Which files a translation reads and which it writes, settled before anything is computed. */
import { lstat, stat } from 'node:fs/promises';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { canonicalPath } from './data/dataPath.ts';
import { DataError } from './data/errors.ts';
import { noPictures, openFolder } from './data/folder.ts';
import type { Skipped } from './data/leftOut.ts';
import { nameKey } from './data/names.ts';
import { isMarked } from './data/png.ts';
import { systemReason } from './formats/file.node.ts';

/** A picture to translate, and the folder that the name of its translation is relative to. */
export interface Input {
  readonly file: string;
  readonly root: string;
}

export interface Inputs {
  readonly pictures: readonly Input[];
  readonly skipped: readonly Skipped[];
}

/** The pictures of files and folders, each once. Throws DataError for what is not there or holds none. */
export async function listInputs(paths: readonly string[]): Promise<Inputs> {
  const pictures = new Map<string, Input>();
  const skipped: Skipped[] = [];
  for (const path of paths) {
    const found = await inputsAt(path);
    for (const input of found.pictures) {
      const key = resolve(input.file);
      if (!pictures.has(key)) pictures.set(key, input);
    }
    skipped.push(...found.skipped);
  }
  return { pictures: [...pictures.values()], skipped };
}

async function inputsAt(path: string): Promise<Inputs> {
  const there = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const missing = error.code === 'ENOENT';
    throw new DataError(
      `--input ${path} ${missing ? 'does not exist' : `cannot be read: ${systemReason(error)}`}`,
    );
  });
  if (!there.isDirectory()) return { pictures: [{ file: path, root: dirname(path) }], skipped: [] };
  const { source, skipped } = await openFolder(path);
  if (source.files.length === 0) throw new DataError(`--input ${noPictures(path, skipped)}`);
  return { pictures: source.files.map((file) => ({ file, root: path })), skipped };
}

/** Files that are written for one picture. */
export interface Targets {
  readonly picture: string;
  readonly heatmap: string | null;
}

export interface OutputOptions {
  /** The folder. */
  readonly output: string;
  readonly heatmap: boolean;
  readonly grid: boolean;
}

export const gridFile = ({ output }: OutputOptions) => join(output, 'grid.png');

/**
 * Where every picture's translation goes. Throws DataError where that would overwrite an input, however the
 * paths are written or linked, or any other file than an earlier translation of adawn's.
 */
export async function planTargets(inputs: readonly Input[], options: OutputOptions): Promise<Targets[]> {
  const taken = new Map<string, string>();
  if (options.grid) taken.set(nameKey(gridFile(options)), gridFile(options));
  const targets = inputs.map((input) => chooseTargets(input, options, taken));
  await demandFree([...taken.values()], inputs, options);
  return targets;
}

/** `sub/cat.jpg` becomes `sub/cat.png`; where that is taken, `sub/cat.jpg.png`, and so on. */
function chooseTargets(input: Input, options: OutputOptions, taken: Map<string, string>): Targets {
  const path = relative(input.root, input.file);
  const stem = path.slice(0, path.length - extname(path).length);
  for (let n = 0; ; n++) {
    const name = join(options.output, n === 0 ? stem : `${path}${n === 1 ? '' : `-${n}`}`);
    const targets = { picture: `${name}.png`, heatmap: options.heatmap ? `${name}.heatmap.png` : null };
    const both = Object.values(targets).filter((target) => target !== null);
    if (both.some((target) => taken.has(nameKey(target)))) continue;
    for (const target of both) taken.set(nameKey(target), target);
    return targets;
  }
}

async function demandFree(
  targets: readonly string[],
  inputs: readonly Input[],
  { output }: OutputOptions,
): Promise<void> {
  const place = await stat(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT')
      throw new DataError(`--output ${output} cannot be used: ${systemReason(error)}`);
  });
  if (!place) return; // a new folder holds nothing to overwrite
  if (!place.isDirectory()) throw new DataError(`--output ${output} is a file: choose a folder`);
  const originals = new Map<string, string>();
  for (const { file } of inputs) originals.set(await canonicalPath(file), file);
  const foreign: string[] = [];
  for (const target of targets) {
    const original = originals.get(await canonicalPath(target));
    if (original !== undefined) {
      throw new DataError(`--output ${output} would overwrite ${original}, an input: choose another folder`);
    }
    const there = (await lstat(target).catch(() => null)) !== null;
    if (there && !(await isMarked(target, 'translation'))) foreign.push(target);
  }
  if (foreign.length === 0) return;
  const others = foreign.length > 1 ? ` (nor are ${foreign.length - 1} others)` : '';
  throw new DataError(
    `${foreign[0]} is no translation that adawn wrote${others} and is kept: ` +
      'choose another --output, or move it away',
  );
}
