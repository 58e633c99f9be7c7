import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kernelNames, kernelText } from '../../kernels/text.node.ts';
import type { Device } from '../device/device.ts';
import { adawnVersion, dawnVersion } from '../device/versions.node.ts';

/** Tuned variants of every adapter: adapter key, then choice key, then variant. */
type Cache = Record<string, Record<string, string>>;

/** The user's home; null for a user who has none (in containers). */
function home(): string | null {
  try {
    return homedir() || null;
  } catch {
    return null;
  }
}

/** Where this system keeps what programs can make again; null where the user has no such place. */
function cacheFolder(): string | null {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (xdg) return join(xdg, 'adawn');
  if (process.platform === 'win32' && local) return join(local, 'adawn');
  const at = home();
  if (at === null) return null;
  return process.platform === 'darwin' ? join(at, 'Library', 'Caches', 'adawn') : join(at, '.cache', 'adawn');
}

/** The file the tuner's results are kept in; null where the user has no place for it. */
export function tuneCachePath(): string | null {
  const folder = cacheFolder();
  return folder && join(folder, 'tuned.json');
}

/**
 * Changes whenever a kernel does, or what decides how kernels are launched (tiles, splits, variants): the
 * times are no longer what was measured.
 */
function codeHash(): string {
  const hash = createHash('sha256');
  for (const name of kernelNames()) hash.update(name).update(kernelText(name));
  const engine = fileURLToPath(new URL('..', import.meta.url));
  const files = readdirSync(engine, { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => name.endsWith('.ts')).sort()) {
    hash.update(file).update(readFileSync(join(engine, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

let code: string | undefined;

/** Adapter, driver, limits that decide what fits, versions, and what computes. */
export function adapterKey({ info, subgroupSize, maxBinding }: Device): string {
  const { vendor, architecture, device, description } = info;
  code ??= codeHash();
  const versions = [`adawn ${adawnVersion()}`, `dawn ${dawnVersion()}`, code];
  return [vendor, architecture, device, description, subgroupSize, maxBinding, ...versions].join('|');
}

function isCache(value: unknown): value is Cache {
  const isRecord = (v: unknown) => typeof v === 'object' && v !== null && !Array.isArray(v);
  if (!isRecord(value)) return false;
  return Object.values(value as object).every(
    (entry) => isRecord(entry) && Object.values(entry as object).every((v) => typeof v === 'string'),
  );
}

async function readAll(warn: (message: string) => void): Promise<Cache> {
  const path = tuneCachePath();
  const text = path && (await readFile(path, 'utf8').catch(() => null));
  if (!text && text !== '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isCache(value)) return value;
  } catch {}
  warn(`${path} is damaged and was ignored: kernels are timed again`);
  return {};
}

/** What was found best on this adapter before; nothing where the file is missing or broken. */
export async function readTuned(
  device: Device,
  warn: (message: string) => void,
): Promise<Map<string, string>> {
  const all = await readAll(warn);
  return new Map(Object.entries(all[adapterKey(device)] ?? {}));
}

/** Writes the file so that it is whole, also after a power cut. */
async function writeAll(path: string, all: Cache): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const handle = await open(temporary, 'w');
    await handle
      .writeFile(`${JSON.stringify(all, null, 1)}\n`)
      .then(() => handle.sync())
      .finally(() => handle.close());
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/**
 * Keeps what was found best, beside what is known of other adapters. A file that cannot be written is no
 * failure.
 */
export async function writeTuned(
  device: Device,
  best: ReadonlyMap<string, string>,
  warn: (message: string) => void,
): Promise<void> {
  const path = tuneCachePath();
  if (!path) {
    warn(
      "the tuner's results could not be kept: this user has no home folder; set XDG_CACHE_HOME to a folder",
    );
    return;
  }
  const all = await readAll(() => {});
  const key = adapterKey(device);
  all[key] = { ...all[key], ...Object.fromEntries(best) };
  await writeAll(path, all).catch((error: Error) => {
    warn(`the tuner's results could not be kept: ${error.message}`);
  });
}
