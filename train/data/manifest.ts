import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemReason, writeAtomically } from '../formats/file.node.ts';
import { DataError } from './errors.ts';

export interface PrepareOptions {
  /** Side of the pictures written. */
  size: number;
  /** Share of a domain that becomes test pictures, 0..1. */
  test: number;
  /** Decides which. */
  seed: number;
  /** Cut the largest centred square first (default), or squeeze the whole picture into one. */
  crop?: boolean;
  /** What shows through transparent pictures, as in CSS; default: alpha is dropped. */
  background?: string;
}

/**
 * What `prepare` keeps beside the pictures that it makes: the proof that a half-made data set is its own, and
 * what is needed to go on with it.
 */
export interface Manifest {
  /** Says whose file this is. */
  readonly adawn: 'prepared data set';
  readonly finished: boolean;
  /** The folders of pictures, as they were given. */
  readonly sources: readonly string[];
  readonly options: PrepareOptions;
  /** Pictures in all. */
  readonly pictures: number;
  /** Over the names and sizes of the source pictures: which of them is made into which depends on them. */
  readonly sha256: string;
}

export const manifestPath = (folder: string): string => join(folder, 'adawn-prepare.json');

/** The manifest in a folder; null where there is none. Throws DataError for a file that is no manifest. */
export async function readManifest(folder: string): Promise<Manifest | null> {
  const path = manifestPath(folder);
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (isManifest(value)) return value;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code) throw new DataError(`${path} cannot be read: ${systemReason(error)}`);
  }
  throw new DataError(`${path} is damaged, or was not written by "prepare": move it away`);
}

function isManifest(value: unknown): value is Manifest {
  const { adawn, finished, sources, options, pictures, sha256 } = (value ?? {}) as Partial<Manifest>;
  return (
    adawn === 'prepared data set' &&
    typeof finished === 'boolean' &&
    Array.isArray(sources) &&
    typeof options?.size === 'number' &&
    typeof pictures === 'number' &&
    typeof sha256 === 'string'
  );
}

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writeAtomically(manifestPath(folder), (to) => to.write(Buffer.from(text)));
}

/** The options as the command line takes them; those that are as they are by default are left out. */
function flagsOf({ size, test, seed, crop, background }: PrepareOptions): Record<string, string> {
  return {
    size: size === 256 ? '' : `--size ${size}`,
    test: test === 0.1 ? '' : `--test ${test}`,
    seed: seed === 1 ? '' : `--seed ${seed}`,
    crop: crop === false ? '--no-crop' : '',
    background: background ? `--background ${quoted(background)}` : '',
  };
}

/** A word of a command line, in quotes where a shell needs them. */
const quoted = (word: string): string =>
  /^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The command that goes on with a preparation. */
export function commandOf({ sources, options }: Manifest, target: string): string {
  const words = [...sources, target].map(quoted);
  const flags = Object.values(flagsOf(options)).filter((flag) => flag !== '');
  return ['npx tsx cli/data.ts prepare', ...words, ...flags].join(' ');
}

/** The options of `now` that differ from those of a half-made data set, as the end of a sentence, or null. */
export function changedOptions(before: PrepareOptions, now: PrepareOptions): string | null {
  const old = flagsOf(before);
  const changed = Object.entries(flagsOf(now)).filter(([name, flag]) => flag !== old[name]);
  const say = (flag: string, name: string) =>
    flag || (name === 'background' ? 'no --background' : `the default --${name}`);
  const list = changed.map(([name, flag]) => `${say(old[name], name)} (now ${say(flag, name)})`);
  return list.length > 0 ? list.join(', ') : null;
}
