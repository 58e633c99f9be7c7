import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { makeFolder, systemReason, temporaryPath } from '../formats/file.node.ts';
import { DataError } from './errors.ts';
import type { Picture } from './picture.ts';

/** What a PNG file is, said in the file where that must be known later: see `isMarked`. */
export type Mark = 'translation' | 'contact sheet';

/** The picture as the bytes of a PNG file (8-bit RGB). Compresses on a thread of its own. */
export async function encodePng(picture: Picture): Promise<Uint8Array> {
  const { width, height, data } = picture;
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 6 })
    .toBuffer();
}

/**
 * Writes a PNG file, making its folder when missing. The file appears whole or not at all: it is written
 * under a temporary name and renamed, so that a viewer or an interrupted run never sees half a picture.
 */
export async function writePng(path: string, picture: Picture, mark?: Mark): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await makeFolder(dirname(path));
    const bytes = await encodePng(picture);
    await writeFile(temporary, mark ? withMark(bytes, mark) : bytes);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}); // the first failure is the one to tell
    throw new DataError(`${path} cannot be written: ${systemReason(cause)}`, { cause });
  }
}

/** Whether `writePng` failed for the name of this one file (too long, letters that the disk cannot store). */
export function isNameRefused(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return error instanceof DataError && ['ENAMETOOLONG', 'EINVAL', 'EILSEQ'].includes(code ?? '');
}

/** Signature and header come first in every PNG file; the mark is put behind them. */
const MARK_AT = 8 + 25;
const KEYWORD = 'adawn\0';

/** What is said in a marked file: what it is, and the hash of all its other bytes. */
function textOf(mark: Mark, others: Uint8Array): string {
  const hash = createHash('sha256').update(others).digest('hex');
  return `${KEYWORD}${mark}, unchanged while the rest has SHA-256 ${hash}`;
}

/** The file with a tEXt chunk that marks it. */
function withMark(bytes: Uint8Array, mark: Mark): Uint8Array {
  const body = Buffer.from(`tEXt${textOf(mark, bytes)}`, 'latin1');
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length - 4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([bytes.subarray(0, MARK_AT), length, body, sum, bytes.subarray(MARK_AT)]);
}

/**
 * Whether the file at `path` is one that `writePng` marked so, and nobody has changed since: only such a file
 * may be replaced. The proof lies in the file, so that it stays true when the file is copied, moved or
 * renamed; and it is the hash of everything else in it, so that an edited picture, which some editors save
 * with the texts they found, is its editor's and no longer ours.
 */
export async function isMarked(path: string, mark: Mark): Promise<boolean> {
  try {
    const bytes = (await stat(path)).isFile() ? await readMarked(path) : null;
    if (!bytes) return false;
    const end = MARK_AT + 12 + bytes.readUInt32BE(MARK_AT);
    const others = Buffer.concat([bytes.subarray(0, MARK_AT), bytes.subarray(end)]);
    return bytes.subarray(MARK_AT + 8, end - 4).toString('latin1') === textOf(mark, others);
  } catch {
    return false; // what cannot be read proves nothing
  }
}

/** The bytes of a file that begins as a marked one does; others, however large, are not read. */
async function readMarked(path: string): Promise<Buffer | null> {
  const start = MARK_AT + 8 + KEYWORD.length;
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(start), 0, start, 0);
    const keyword = buffer.subarray(MARK_AT + 4, bytesRead).toString('latin1');
    return keyword === `tEXt${KEYWORD}` ? await readFile(file) : null;
  } finally {
    await file.close();
  }
}
