/**
 * A reader for the zip files that torch.save writes (APPNOTE.TXT 6.3: central directory, zip64), over random
 * access so that a file never has to fit in memory. It trusts nothing: entries must lie apart from each
 * other and inside the file, names must be plain relative paths, and sizes are bounded before allocation.
 */
import { inflateRawSync } from 'node:zlib';
import { CheckpointError } from '../../../engine/errors.ts';
import type { ByteSource } from '../file.node.ts';
import { crc32 } from './crc32.ts';

const EOCD_BYTES = 22;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const MAX_COMMENT = 0xffff;
const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;
const MAX_ENTRIES = 20_000;

/** Torch stores without compression; a re-zipped folder may be deflated, which we only do in one piece. */
const MAX_INFLATED_BYTES = 256 * 1024 * 1024;

/** A stored entry is read in pieces of so many bytes where only its checksum is wanted. */
const CHECK_BYTES = 16 * 1024 * 1024;

const ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000;
const STORED = 0;
const DEFLATED = 8;

/** One file of the archive. Offsets and sizes are bytes; `packed` is the size within the archive. */
export interface ZipEntry {
  name: string;
  method: number;
  flags: number;
  crc: number;
  packed: number;
  size: number;
  header: number;
  data: number;
}

/** An opened archive. */
export interface Zip {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Bytes of an entry, which is checked against its CRC when first read (unless that is recorded as 0). */
  read(entry: ZipEntry, offset?: number, length?: number): Promise<Uint8Array>;
}

/** Whether a file starts like a zip archive. */
export function isZip(first: Uint8Array): boolean {
  return first[0] === 0x50 && first[1] === 0x4b && first[2] === 3 && first[3] === 4;
}

/** Reads the directory of an archive and checks every entry's place. */
export async function openZip(source: ByteSource): Promise<Zip> {
  const directory = await findDirectory(source);
  const entries = await readDirectory(source, directory);
  await locateData(source, [...entries.values()], directory.offset);
  const reader: Reader = { source, checked: new Set(), inflated: null };
  return {
    entries,
    read: (entry, offset = 0, length = entry.size - offset) => readEntry(reader, entry, offset, length),
  };
}

interface Directory {
  offset: number;
  bytes: number;
  count: number;
}

function fail(what: string): CheckpointError {
  return new CheckpointError(`zip: ${what}`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit field as a number; beyond 2^53 it is no longer exact, but then it is out of any range too. */
function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** Finds the end record, which a comment may follow, and prefers the zip64 one where there is one. */
async function findDirectory(source: ByteSource): Promise<Directory> {
  const length = Math.min(source.size, EOCD_BYTES + MAX_COMMENT);
  const tail = viewOf(await source.read(source.size - length, length));
  for (let at = length - EOCD_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) !== 0x06054b50) continue;
    if (at + EOCD_BYTES + tail.getUint16(at + 20, true) !== length) continue;
    const end = source.size - length + at;
    const directory = (await findZip64(source, end)) ?? {
      offset: tail.getUint32(at + 16, true),
      bytes: tail.getUint32(at + 12, true),
      count: tail.getUint16(at + 10, true),
    };
    return checkDirectory(directory, end);
  }
  throw fail('truncated: it has no end-of-directory record');
}

function checkDirectory(directory: Directory, end: number): Directory {
  const { offset, bytes, count } = directory;
  if (bytes > MAX_DIRECTORY_BYTES) throw fail(`directory of ${bytes} bytes, at most ${MAX_DIRECTORY_BYTES}`);
  if (count > MAX_ENTRIES) throw fail(`${count} entries, at most ${MAX_ENTRIES}`);
  if (offset + bytes > end)
    throw fail(`truncated: directory at ${offset}, ${bytes} bytes, ends after ${end}`);
  return directory;
}

async function findZip64(source: ByteSource, end: number): Promise<Directory | undefined> {
  if (end < 20) return undefined;
  const locator = viewOf(await source.read(end - 20, 20));
  if (locator.getUint32(0, true) !== 0x07064b50) return undefined;
  const at = u64(locator, 8);
  if (at + 56 > end) throw fail(`zip64 record at ${at} lies outside the file`);
  const record = viewOf(await source.read(at, 56));
  if (record.getUint32(0, true) !== 0x06064b50) throw fail('no zip64 record where its locator points');
  return { offset: u64(record, 48), bytes: u64(record, 40), count: u64(record, 32) };
}

async function readDirectory(source: ByteSource, directory: Directory): Promise<Map<string, ZipEntry>> {
  const bytes = await source.read(directory.offset, directory.bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    const { entry, next } = readRecord(bytes, at);
    at = next;
    if (entry.name.endsWith('/') && entry.size === 0) continue;
    if (entries.has(entry.name)) throw fail(`duplicate entry ${JSON.stringify(entry.name)}`);
    entries.set(entry.name, entry);
  }
  return entries;
}

function readRecord(bytes: Uint8Array, at: number): { entry: ZipEntry; next: number } {
  if (at + CENTRAL_BYTES > bytes.length) throw fail('its directory is cut short');
  const view = viewOf(bytes);
  if (view.getUint32(at, true) !== 0x02014b50)
    throw fail(`no directory record at byte ${at} of the directory`);
  const nameEnd = at + CENTRAL_BYTES + view.getUint16(at + 28, true);
  const extraEnd = nameEnd + view.getUint16(at + 30, true);
  const next = extraEnd + view.getUint16(at + 32, true);
  if (next > bytes.length) throw fail('its directory is cut short');
  const name = checkName(new TextDecoder().decode(bytes.subarray(at + CENTRAL_BYTES, nameEnd)));
  const entry: ZipEntry = {
    name,
    method: view.getUint16(at + 10, true),
    flags: view.getUint16(at + 8, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    header: view.getUint32(at + 42, true),
    data: 0,
  };
  applyZip64(entry, bytes.subarray(nameEnd, extraEnd));
  return { entry, next };
}

/** Extra field 1 holds, in this order, only those of the three numbers that do not fit into 32 bits. */
function applyZip64(entry: ZipEntry, extra: Uint8Array): void {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const end = Math.min(at + 4 + view.getUint16(at + 2, true), extra.length);
    let field = at + 4;
    for (const key of ['size', 'packed', 'header'] as const) {
      if (entry[key] !== 0xffffffff) continue;
      if (field + 8 > end) throw fail(`${JSON.stringify(entry.name)}: zip64 field too short`);
      entry[key] = u64(view, field);
      field += 8;
    }
    return;
  }
}

/** We never write entries to disk, but no honest checkpoint has a name like these. */
function checkName(name: string): string {
  const parts = name.endsWith('/') ? name.slice(0, -1).split('/') : name.split('/');
  const bad = parts.some((part) => part === '' || part === '.' || part === '..');
  if (bad || /[\\:\0]/.test(name)) throw fail(`suspicious entry name ${JSON.stringify(name.slice(0, 80))}`);
  return name;
}

/** Asked when an entry is read: an archive may hold others that nobody needs. */
function checkMethod({ name, method, flags, packed, size }: ZipEntry): void {
  const shown = JSON.stringify(name);
  if (flags & ENCRYPTED_FLAGS) throw fail(`${shown} is encrypted`);
  if (method === STORED) {
    if (packed !== size) throw fail(`${shown} is stored, yet has two sizes (${packed}, ${size})`);
  } else if (method !== DEFLATED) {
    throw fail(`${shown} has compression method ${method}; only 0 (stored) and 8 (deflated) are read`);
  } else if (size > MAX_INFLATED_BYTES) {
    throw fail(`${shown} is compressed and ${size} bytes big, at most ${MAX_INFLATED_BYTES}: zip it with -0`);
  }
}

/** Sets each entry's data offset from its local header; nothing may overlap or reach the directory. */
async function locateData(source: ByteSource, entries: ZipEntry[], limit: number): Promise<void> {
  let free = 0;
  for (const entry of entries.sort((a, b) => a.header - b.header)) {
    const shown = JSON.stringify(entry.name);
    if (entry.header < free) throw fail(`${shown} overlaps the entry before it`);
    if (entry.header + LOCAL_BYTES > limit) throw fail(`${shown} lies outside the file`);
    const local = viewOf(await source.read(entry.header, LOCAL_BYTES));
    if (local.getUint32(0, true) !== 0x04034b50) throw fail(`${shown}: no local header at ${entry.header}`);
    const nameBytes = local.getUint16(26, true);
    entry.data = entry.header + LOCAL_BYTES + nameBytes + local.getUint16(28, true);
    free = entry.data + entry.packed;
    if (free > limit) throw fail(`${shown}: truncated: its data ends at ${free}, after ${limit}`);
    const name = await source.read(entry.header + LOCAL_BYTES, nameBytes);
    if (new TextDecoder().decode(name) !== entry.name) throw fail(`${shown} has two different names`);
  }
}

/** What is remembered between reads, since tensors may be many views of one entry. */
interface Reader {
  readonly source: ByteSource;
  /** Stored entries whose checksum was right. */
  readonly checked: Set<ZipEntry>;
  /** The deflated entry of which a part was read last. */
  inflated: { entry: ZipEntry; bytes: Uint8Array } | null;
}

async function readEntry(
  reader: Reader,
  entry: ZipEntry,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  checkMethod(entry);
  const { source, checked } = reader;
  if (entry.method === DEFLATED) return readDeflated(reader, entry, offset, length);
  const whole = length === entry.size;
  if (!whole && !checked.has(entry)) checkCrc(entry, await storedCrc(source, entry));
  const bytes = await source.read(entry.data + offset, length);
  if (whole && !checked.has(entry)) checkCrc(entry, crc32(bytes));
  checked.add(entry);
  return bytes;
}

/** Bytes of a deflated entry; what it inflates to is kept for the next part, and every part is a copy. */
async function readDeflated(
  reader: Reader,
  entry: ZipEntry,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  if (reader.inflated?.entry !== entry) {
    reader.inflated = null;
    const bytes = inflate(entry, await reader.source.read(entry.data, entry.packed));
    checkCrc(entry, crc32(bytes));
    if (length === entry.size) return bytes;
    reader.inflated = { entry, bytes };
  }
  return reader.inflated.bytes.slice(offset, offset + length);
}

/** The checksum of a stored entry, without holding all of it. */
async function storedCrc(source: ByteSource, entry: ZipEntry): Promise<number> {
  let crc = 0;
  for (let at = 0; entry.crc !== 0 && at < entry.size; at += CHECK_BYTES) {
    crc = crc32(await source.read(entry.data + at, Math.min(CHECK_BYTES, entry.size - at)), crc);
  }
  return crc;
}

function inflate(entry: ZipEntry, packed: Uint8Array): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(packed, { maxOutputLength: Math.max(entry.size, 1) });
  } catch (cause) {
    throw fail(`${JSON.stringify(entry.name)}: damaged or bigger than it says (${(cause as Error).message})`);
  }
  if (bytes.length !== entry.size)
    throw fail(`${JSON.stringify(entry.name)}: ${bytes.length} bytes inflated`);
  return bytes;
}

/** Told to (serialization.set_crc32_options), torch writes 0 for every checksum. */
function checkCrc(entry: ZipEntry, found: number): void {
  if (entry.crc !== 0 && found !== entry.crc) {
    throw fail(`${JSON.stringify(entry.name)}: damaged: its checksum does not match`);
  }
}
