/**
 * Writes a zip archive the way torch.save does: nothing compressed, each entry's data on a multiple of 64
 * bytes (so that torch can map it), zip64 records where 32 bits do not suffice.
 */
import type { ByteSink } from '../file.node.ts';
import { crc32 } from './crc32.ts';

/** Torch's alignment of records (caffe2/serialize/inline_container.h, kFieldAlignment). */
const ALIGNMENT = 64;
const LIMIT = 0xffffffff;
const LOCAL_BYTES = 30;

interface Written {
  name: Uint8Array;
  crc: number;
  size: number;
  header: number;
}

/** An archive being written; `finish` writes the directory. */
export interface ZipWriter {
  /** Appends an entry of exactly `size` bytes. `fill` writes them to the sink and shows them to `each`. */
  add(name: string, size: number, fill: (each: (bytes: Uint8Array) => void) => Promise<void>): Promise<void>;
  finish(): Promise<void>;
}

/** Starts an archive at the sink's position 0. */
export function zipWriter(to: ByteSink): ZipWriter {
  const entries: Written[] = [];
  return {
    add: async (text, size, fill) => {
      const entry = { name: new TextEncoder().encode(text), crc: 0, size, header: to.position };
      await to.write(localHeader(entry));
      await fill((bytes) => {
        entry.crc = crc32(bytes, entry.crc);
      });
      await to.patch(entry.header + 14, fields([4, entry.crc]));
      entries.push(entry);
    },
    finish: async () => {
      const start = to.position;
      for (const entry of entries) await to.write(centralRecord(entry));
      await to.write(endRecords(start, to.position, entries.length));
    },
  };
}

/** Little-endian numbers of the given widths (2, 4 or 8 bytes). */
function fields(...pairs: [width: number, value: number][]): Uint8Array {
  const bytes = new Uint8Array(pairs.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of pairs) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Version needed, flags (bit 11: UTF-8 names), method 0, and the date 1980-01-01: files are reproducible. */
function common(zip64: boolean): [number, number][] {
  return [
    [2, zip64 ? 45 : 20],
    [2, 0x800],
    [2, 0],
    [2, 0],
    [2, 0x21],
  ];
}

function localHeader({ name, size, header }: Written): Uint8Array {
  const big = size >= LIMIT;
  const zip64 = big ? fields([2, 1], [2, 16], [8, size], [8, size]) : new Uint8Array(0);
  // The padding is an extra field too, "FB" as torch names it, and needs 4 bytes for its own head.
  const used = header + LOCAL_BYTES + name.length + zip64.length + 4;
  const padding = (ALIGNMENT - (used % ALIGNMENT)) % ALIGNMENT;
  const extra = concat(zip64, fields([2, 0x4246], [2, padding]), new Uint8Array(padding).fill(0x5a));
  const shown = big ? LIMIT : size;
  const head = fields(
    [4, 0x04034b50],
    ...common(big),
    [4, 0], // CRC: patched once known
    [4, shown],
    [4, shown],
    [2, name.length],
    [2, extra.length],
  );
  return concat(head, name, extra);
}

function centralRecord({ name, crc, size, header }: Written): Uint8Array {
  const wide: [number, number][] = [];
  if (size >= LIMIT) wide.push([8, size], [8, size]);
  if (header >= LIMIT) wide.push([8, header]);
  const extra = wide.length > 0 ? fields([2, 1], [2, wide.length * 8], ...wide) : new Uint8Array(0);
  const head = fields(
    [4, 0x02014b50],
    [2, 45],
    ...common(wide.length > 0),
    [4, crc],
    [4, Math.min(size, LIMIT)],
    [4, Math.min(size, LIMIT)],
    [2, name.length],
    [2, extra.length],
    [2, 0], // comment
    [2, 0], // disk
    [2, 0], // internal attributes
    [4, 0], // external attributes
    [4, Math.min(header, LIMIT)],
  );
  return concat(head, name, extra);
}

/** The zip64 end record and its locator are always written, as torch does, then the classic end record. */
function endRecords(start: number, end: number, count: number): Uint8Array {
  const bytes = end - start;
  const record = fields(
    [4, 0x06064b50],
    [8, 44],
    [2, 45],
    [2, 45],
    [4, 0],
    [4, 0],
    [8, count],
    [8, count],
    [8, bytes],
    [8, start],
  );
  const locator = fields([4, 0x07064b50], [4, 0], [8, end], [4, 1]);
  const few = Math.min(count, 0xffff);
  const classic = fields(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, few],
    [2, few],
    [4, Math.min(bytes, LIMIT)],
    [4, Math.min(start, LIMIT)],
    [2, 0],
  );
  return concat(record, locator, classic);
}
