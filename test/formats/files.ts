import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { openCheckpointSource } from '../../train/formats/checkpoint.ts';
import { memorySource } from '../../train/formats/file.node.ts';
import { type HostTensor, toBytes } from '../../train/formats/hostTensor.ts';
import { parseSafetensors } from '../../train/formats/safetensors.ts';
import { crc32 } from '../../train/formats/torch/crc32.ts';
import type { CheckpointView } from '../../train/formats/view.ts';

/** PyTorch files and the safetensors file that says what each holds (fixtures/make.py wrote both). */
export const TWINS: Record<string, string> = {
  'six.zip.pt': 'six.safetensors',
  'odd.zip.pt': 'odd.safetensors',
  'odd.protocol4.pt': 'odd.safetensors',
  'odd.legacy.pt': 'odd.safetensors',
  'generator.legacy.pt': 'generator.safetensors',
  'beside.zip.pt': 'beside.safetensors',
  'beside.protocol4.pt': 'beside.safetensors',
  'beside.legacy.pt': 'beside.safetensors',
};

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
}

export function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(fixturePath(name)));
}

/** Tensors in a form that `toEqual` compares bit by bit (a NaN's payload too). */
export function bits(tensors: Iterable<[string, HostTensor]>): Record<string, string> {
  const all = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    all.map(([name, { dtype, shape, data }]) => {
      return [name, `${dtype} [${shape}] ${Buffer.from(toBytes(data)).toString('hex')}`];
    }),
  );
}

export function twinOf(name: string): Record<string, string> {
  return bits(parseSafetensors(fixture(TWINS[name])).tensors);
}

/** Everything a view holds, in the file's own types. */
export async function contents(view: CheckpointView): Promise<Record<string, string>> {
  const all: [string, HostTensor][] = [];
  for (const name of view.names()) all.push([name, await view.readRaw(name)]);
  return bits(all);
}

/** Opens bytes as a checkpoint and reads every tensor. */
export async function readAll(bytes: Uint8Array): Promise<Record<string, string>> {
  const view = await openCheckpointSource(memorySource(bytes, 'x.bin'));
  return contents(view);
}

/** Runs `work` with a folder of its own, removed afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'adawn-formats-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Repeatable random numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes from numbers, text and other bytes. */
export function bytesOf(...parts: (number | string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? [part] : Buffer.from(part))).map(Buffer.from),
  );
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function u16(value: number): Uint8Array {
  return u32(value).slice(0, 2);
}

export interface TestEntry {
  name: string;
  data: Uint8Array;
  deflate?: boolean;
  /** Lies of the directory. */
  size?: number;
  packed?: number;
  header?: number;
  method?: number;
  flags?: number;
  crc?: number;
  localName?: string;
}

/** A zip archive with whatever mistakes the entries ask for. CRCs default to right ones. */
export function makeZip(entries: TestEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const entry of entries) {
    const packed = entry.deflate ? deflateRawSync(entry.data) : entry.data;
    const method = u16(entry.method ?? (entry.deflate ? 8 : 0));
    const sizes = bytesOf(u32(entry.packed ?? packed.length), u32(entry.size ?? entry.data.length));
    const shared = bytesOf(
      u16(20),
      u16(entry.flags ?? 0),
      method,
      u32(0),
      u32(entry.crc ?? crc32(entry.data)),
      sizes,
    );
    const name = Buffer.from(entry.name);
    const localName = Buffer.from(entry.localName ?? entry.name);
    const local = bytesOf('PK\x03\x04', shared, u16(localName.length), u16(0), localName, packed);
    const tail = bytesOf(u32(0), u32(0), u32(0), u32(entry.header ?? at));
    directory.push(bytesOf('PK\x01\x02', u16(20), shared, u16(name.length), tail, name));
    parts.push(local);
    at += local.length;
  }
  const list = bytesOf(...directory);
  const count = u16(entries.length);
  const end = bytesOf('PK\x05\x06', u32(0), count, count, u32(list.length), u32(at), u16(0));
  return bytesOf(...parts, list, end);
}

/** A zip checkpoint around a pickle and storages. */
export function makeTorch(pickle: Uint8Array, storages: Record<string, Uint8Array> = {}): Uint8Array {
  const data = Object.entries(storages).map(([key, bytes]) => ({ name: `a/data/${key}`, data: bytes }));
  return makeZip([{ name: 'a/data.pkl', data: pickle }, ...data]);
}
