import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { onFiles, TrainingError } from './errors.ts';

/** Who trains in a folder, as its lock says. */
interface Holder {
  readonly host: string;
  readonly process: number;
  /** Tells this process from a later one of the same number; empty where the system does not say. */
  readonly began: string;
  /** Different in every lock. */
  readonly token: string;
}

/**
 * When a process began, in a form that no other process of this number has: Linux counts from the start of
 * the machine, of which each has an identity. Empty elsewhere; null for a process that has ended.
 */
async function beginOf(pid: number): Promise<string | null> {
  if (process.platform !== 'linux') return '';
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return null; // ended, and its parent has not asked yet
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${boot.trim()} ${fields[19]}`;
}

/** Whether a process of this machine that held a lock is still there. */
async function lives({ process: pid, began }: Holder): Promise<boolean> {
  const now = await beginOf(pid);
  if (now === null || (began !== '' && now !== began)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's
  }
}

function parse(text: string): Holder | null {
  try {
    const { host, process, began, token } = JSON.parse(text) as Partial<Holder>;
    const whole = typeof host === 'string' && Number.isInteger(process) && typeof began === 'string';
    return whole && typeof token === 'string' ? { host, process: process!, began, token } : null;
  } catch {
    return null;
  }
}

/** Throws where the holder of a lock may still be at work. */
async function demandGone(holder: Holder, folder: string, path: string): Promise<void> {
  const { host, process: pid } = holder;
  if (host !== hostname()) {
    throw new TrainingError(
      `${folder} is being trained by process ${pid} on ${host}: ` +
        `wait for it, choose another folder with --out, or delete ${path} if that process is gone`,
    );
  }
  if (!(await lives(holder))) return;
  throw new TrainingError(
    `${folder} is being trained by process ${pid}: wait for it, or choose another folder with --out`,
  );
}

/** Writes a lock where there is none; false where there is. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const handle = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return null;
    throw error;
  });
  if (!handle) return false;
  try {
    await handle.writeFile(`${JSON.stringify(holder, null, 2)}\n`);
  } catch (error) {
    await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
  return true;
}

/** How often a folder is made again that another process, which found it empty, has taken away meanwhile. */
const MOST_FOLDERS = 10;

/** The same; the folder is there again, should another process have taken it away when it gave up. */
async function createIn(folder: string, path: string, holder: Holder): Promise<boolean> {
  for (let made = 0; ; made++) {
    try {
      return await create(path, holder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || made === MOST_FOLDERS) throw error;
      await mkdir(folder, { recursive: true });
    }
  }
}

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

/** The text of a lock; waits a moment for one that is being written. Null where there is none (any more). */
async function readLock(path: string): Promise<string | null> {
  for (let tries = 0; ; tries++) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null || parse(text) || tries === 10) return text;
    await pause(100);
  }
}

/** A guard as old as this (milliseconds) is of a process that died while it held it, which takes no time. */
const OLD_GUARD_MS = 10_000;

/**
 * Takes away the lock of a process that is gone, unless another process has done so and has its own lock
 * there already. Only one looks and takes away at a time: else one could take away what another has just put
 * there.
 */
async function takeAway(path: string, stale: string, self: Holder): Promise<void> {
  const guard = `${path}.takeover`;
  if (await create(guard, self)) {
    try {
      if ((await readLock(path)) === stale) await rm(path, { force: true });
    } finally {
      await rm(guard, { force: true });
    }
    return;
  }
  const age = await stat(guard).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (age > OLD_GUARD_MS) await rm(guard, { force: true });
  await pause(20);
}

/**
 * Makes this process the only one that trains in a folder (made where it is missing); gives what ends that.
 * The lock of a process of this machine that is gone (killed, or the machine was restarted) is taken over.
 * @throws TrainingError that names the process where another one trains there
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'run.lock');
  const token = randomBytes(8).toString('hex');
  const began = (await beginOf(process.pid)) ?? '';
  const self: Holder = { host: hostname(), process: process.pid, began, token };
  await onFiles(`cannot write to ${folder}`, 'make room or change its permissions', async () => {
    while (!(await createIn(folder, path, self))) {
      const text = await readLock(path);
      if (text === null) continue;
      const holder = parse(text);
      if (holder) await demandGone(holder, folder, path);
      await takeAway(path, text, self); // damaged: its process or the machine died while it was written
    }
  });
  return async () => {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (parse(text)?.token === token) await rm(path, { force: true }).catch(() => {});
  };
}
