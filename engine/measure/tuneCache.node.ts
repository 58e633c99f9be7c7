import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { kernelNames, kernelText } from '../../kernels/text.node.ts';
import type { Device } from '../device/device.ts';

/** Tuned variants of every adapter: adapter key, then choice key, then variant. */
type Cache = Record<string, Record<string, string>>;

/** Where this system keeps what programs can make again. */
function cacheFolder(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (xdg) return join(xdg, 'adawn');
  if (process.platform === 'win32' && local) return join(local, 'adawn');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'adawn');
  return join(homedir(), '.cache', 'adawn');
}

/** The file the tuner's results are kept in. */
export function tuneCachePath(): string {
  return join(cacheFolder(), 'tuned.json');
}

/** Changes whenever a kernel does: its times are no longer what was measured. */
function kernelHash(): string {
  const hash = createHash('sha256');
  for (const name of kernelNames()) hash.update(name).update(kernelText(name));
  return hash.digest('hex').slice(0, 16);
}

/** Adapter, driver, limits that decide what fits, and kernels. */
export function adapterKey({ info, subgroupSize, maxBinding }: Device): string {
  const { vendor, architecture, device, description } = info;
  return [vendor, architecture, device, description, subgroupSize, maxBinding, kernelHash()].join('|');
}

function isCache(value: unknown): value is Cache {
  const isRecord = (v: unknown) => typeof v === 'object' && v !== null && !Array.isArray(v);
  if (!isRecord(value)) return false;
  return Object.values(value as object).every(
    (entry) => isRecord(entry) && Object.values(entry as object).every((v) => typeof v === 'string'),
  );
}

async function readAll(path: string, warn: (message: string) => void): Promise<Cache> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return {};
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
  const all = await readAll(tuneCachePath(), warn);
  return new Map(Object.entries(all[adapterKey(device)] ?? {}));
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
  const all = await readAll(path, () => {});
  const key = adapterKey(device);
  all[key] = { ...all[key], ...Object.fromEntries(best) };
  try {
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify(all, null, 1)}\n`);
    await rename(temporary, path);
  } catch (error) {
    warn(`the tuner's results could not be kept: ${(error as Error).message}`);
  }
}
