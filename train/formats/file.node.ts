/** Random access to files bigger than a Buffer can be, and writes that are either whole or not there. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CheckpointError } from '../../engine/errors.ts';

/** Bytes a single system call moves: Linux stops at 2^31 - 4096, and this keeps the copies small. */
const CHUNK = 64 * 1024 * 1024;

/** Bytes that can be read at any offset: a file, or a stand-in for one in tests. */
export interface ByteSource {
  /** Name for error messages. */
  readonly path: string;
  /** Whole size in bytes. */
  readonly size: number;
  /** Exactly `length` fresh bytes from `offset`; CheckpointError where the source ends sooner. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Where a file being written goes. */
export interface ByteSink {
  /** Bytes written so far. */
  readonly position: number;
  /** Appends; the bytes may be reused once the promise resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /** Overwrites bytes already written. */
  patch(offset: number, bytes: Uint8Array): Promise<void>;
}

/** Why a system call failed, in words. */
export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const known: Record<string, string> = {
    ENOENT: 'no such file or folder',
    EISDIR: 'is a folder',
    EEXIST: 'a file of that name is in the way',
    ENOTDIR: 'part of the path is not a folder',
    EACCES: 'permission denied',
    EPERM: 'not permitted',
    EROFS: 'the file system is read-only',
    ENOSPC: 'no space left on the device',
    EDQUOT: 'the disk quota is used up',
    ENAMETOOLONG: 'the name is too long for this file system',
    ELOOP: 'its links lead in a circle',
    EFBIG: 'the file is too big for this file system',
  };
  return known[code] ?? (error instanceof Error ? error.message : String(error));
}

/** Makes a folder and those above it. (Node's own recursive mkdir never returns where /proc refuses one.) */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT') throw error;
    if (!existsSync(dirname(path))) await makeFolder(dirname(path));
    // Someone else may have made it in between.
    await mkdir(path).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again;
    });
  }
}

/** The sentence for a failed system call. */
function explain(path: string, error: unknown): CheckpointError {
  return new CheckpointError(`${path}: ${systemReason(error)}`, { cause: error });
}

/** Runs `work`; a CheckpointError that does not name the file yet gets `path` in front. */
export async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.message.includes(path)) throw error;
    throw new CheckpointError(`${path}: ${error.message}`, { cause: error });
  }
}

/** Opens `path` for reading. */
export async function openSource(path: string): Promise<ByteSource> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) throw new CheckpointError(`${path}: not a regular file`);
    return fileSource(path, handle, stat.size);
  } catch (error) {
    await handle?.close();
    throw error instanceof CheckpointError ? error : explain(path, error);
  }
}

function fileSource(path: string, handle: FileHandle, size: number): ByteSource {
  return {
    path,
    size,
    read: async (offset, length) => {
      const bytes = allocate(path, checkRange(path, size, offset, length));
      for (let done = 0; done < length; ) {
        const n = await readSome(path, handle, bytes.subarray(done, done + CHUNK), offset + done);
        if (n === 0) throw new CheckpointError(`${path}: truncated while it was read`);
        done += n;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

async function readSome(path: string, handle: FileHandle, into: Uint8Array, at: number): Promise<number> {
  try {
    return (await handle.read(into, 0, into.length, at)).bytesRead;
  } catch (error) {
    throw explain(path, error);
  }
}

function checkRange(path: string, size: number, offset: number, length: number): number {
  if (offset < 0 || length < 0 || !(offset + length <= size)) {
    throw new CheckpointError(`${path}: truncated: needs bytes ${offset}..${offset + length}, has ${size}`);
  }
  return length;
}

function allocate(path: string, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new CheckpointError(`${path}: no memory for ${length} bytes in one piece`, { cause });
  }
}

/** A source over bytes in memory. */
export function memorySource(bytes: Uint8Array, path = 'memory'): ByteSource {
  return {
    path,
    size: bytes.length,
    read: async (offset, length) => {
      checkRange(path, bytes.length, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    close: async () => {},
  };
}

/**
 * A new name beside `path` to write it under until it is whole. It is short, whatever the name of `path`: a
 * name that the file system just allows must not fail for the letters that a temporary name adds to it.
 */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.adawn-${randomBytes(6).toString('hex')}.tmp`);
}

/** Whether a file of this name (without folder) is what an interrupted write of adawn left behind. */
export const isTemporary = (name: string): boolean => /^\.adawn-[0-9a-f]{12}\.tmp$/.test(name);

/**
 * Writes `path` so that it is never seen half written: into a temporary file of the same folder, flushed
 * to the disk, renamed, and the folder flushed. Whatever fails, the temporary file is removed and what was
 * at `path` before stays. `produce` may throw; a full disk becomes a CheckpointError.
 */
export async function writeAtomically(path: string, produce: (to: ByteSink) => Promise<void>): Promise<void> {
  const temporary = temporaryPath(path);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, 'wx');
    await produce(fileSink(handle));
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    const system = typeof (error as NodeJS.ErrnoException | undefined)?.syscall === 'string';
    throw system ? explain(`cannot write ${path}`, error) : error;
  }
  await syncFolder(dirname(path));
}

function fileSink(handle: FileHandle): ByteSink {
  let position = 0;
  const put = async (bytes: Uint8Array, at: number): Promise<void> => {
    for (let done = 0; done < bytes.length; ) {
      const piece = bytes.subarray(done, done + CHUNK);
      done += (await handle.write(piece, 0, piece.length, at + done)).bytesWritten;
    }
  };
  return {
    get position() {
      return position;
    },
    write: async (bytes) => {
      await put(bytes, position);
      position += bytes.length;
    },
    patch: (offset, bytes) => put(bytes, offset),
  };
}

/** Makes a rename survive a power cut. Not every file system can (Windows, some network mounts). */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // The file itself is complete and in place; only the durability of its name is left to the system.
  }
}
