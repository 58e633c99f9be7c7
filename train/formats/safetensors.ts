/**
 * The safetensors format (github.com/huggingface/safetensors): u64 little-endian header length, a JSON
 * header `{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {string: string}}`, then raw
 * little-endian data in C order. Every failure is a CheckpointError. A file is refused, as the reference
 * implementation does, unless its tensors cover the data section exactly: no holes, overlaps or rest.
 */
import { CheckpointError } from '../../engine/errors.ts';
import {
  type DType,
  elementCount,
  fromBytes,
  type HostTensor,
  isDType,
  itemSize,
  type TensorData,
  toBytes,
} from './hostTensor.ts';

export type { DType, HostTensor, TensorData };

/** Bytes before the JSON header. */
export const LENGTH_BYTES = 8;

/** Longest JSON header accepted: a full U-GAT-IT training state needs about 100 KB. */
export const MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** Deepest legal header: the root, a tensor's record, its shape. Bounds what JSON.parse may allocate. */
const MAX_DEPTH = 3;

/** A tensor before its data is known. */
export interface TensorSpec {
  name: string;
  dtype: DType;
  shape: readonly number[];
}

/** Where a tensor lies: `begin` and `end` are bytes from the start of the data section. */
export interface TensorEntry {
  dtype: DType;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  tensors: Map<string, TensorEntry>;
}

/** Reads a whole file in memory. Tensors are views into `bytes` where alignment allows. */
export function parseSafetensors(bytes: Uint8Array): {
  metadata: Record<string, string>;
  tensors: Map<string, HostTensor>;
} {
  const dataStart = LENGTH_BYTES + headerLength(bytes.subarray(0, LENGTH_BYTES), bytes.length);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, dataStart), bytes.length - dataStart);
  const tensors = new Map<string, HostTensor>();
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    const data = fromBytes(dtype, bytes.subarray(dataStart + begin, dataStart + end));
    tensors.set(name, { dtype, shape, data });
  }
  return { metadata: header.metadata, tensors };
}

/** Length of the JSON header in bytes, from the file's first 8 bytes and its size. */
export function headerLength(first: Uint8Array, fileBytes: number): number {
  if (first.length < LENGTH_BYTES) throw new CheckpointError(`safetensors: only ${first.length} bytes`);
  const view = new DataView(first.buffer, first.byteOffset, LENGTH_BYTES);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length < 2 || length > MAX_HEADER_BYTES) {
    throw new CheckpointError(`safetensors: header length ${length} is not in 2..${MAX_HEADER_BYTES}`);
  }
  if (LENGTH_BYTES + length > fileBytes) {
    throw new CheckpointError(`safetensors: truncated: header of ${length} bytes, file of ${fileBytes}`);
  }
  return length;
}

/** Checks and reads the JSON header of a file whose data section has `dataBytes` bytes. */
export function parseHeader(json: Uint8Array, dataBytes: number): SafetensorsHeader {
  const root = parseJson(json);
  const metadata = readMetadata(root.__metadata__);
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(root)) {
    if (name !== '__metadata__') tensors.set(name, readEntry(name, value));
  }
  checkCoverage(tensors, dataBytes);
  return { metadata, tensors };
}

function parseJson(json: Uint8Array): Record<string, unknown> {
  let root: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    checkStructure(text);
    root = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError('safetensors: the header is not valid JSON in UTF-8', { cause });
  }
  if (!isRecord(root)) throw new CheckpointError('safetensors: the header is not a JSON object');
  return root;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Refuses deep nesting and repeated names, of which JSON.parse would silently keep the last. */
function checkStructure(text: string): void {
  const seen = new Set<string>();
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') depth--;
    else if (c === '"') {
      const end = stringEnd(text, i);
      if (depth === 1 && isKey(text, end)) addOnce(seen, JSON.parse(text.slice(i, end)));
      i = end - 1;
    }
    if (depth > MAX_DEPTH) throw new CheckpointError('safetensors: the header is nested too deeply');
  }
}

/** Position after the string that opens at `start`. A regular expression would be quadratic on bad input. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  throw new CheckpointError('safetensors: the header has an open string');
}

function isKey(text: string, end: number): boolean {
  while (' \t\r\n'.includes(text[end])) end++;
  return text[end] === ':';
}

function addOnce(seen: Set<string>, name: string): void {
  if (seen.has(name)) throw new CheckpointError(`safetensors: duplicate name ${quote(name)}`);
  seen.add(name);
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || Object.values(value).some((text) => typeof text !== 'string')) {
    throw new CheckpointError('safetensors: __metadata__ is not a map of strings');
  }
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown): TensorEntry {
  const fail = (what: string) => new CheckpointError(`safetensors: tensor ${quote(name)}: ${what}`);
  if (!isRecord(value)) throw fail('its record is not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDType(dtype)) throw fail(`unsupported dtype ${quote(String(dtype))}`);
  if (!isCounts(shape)) throw fail('its shape is not an array of whole numbers');
  if (!isCounts(offsets) || offsets.length !== 2) throw fail('data_offsets are not two whole numbers');
  const [begin, end] = offsets;
  const need = elementCount(shape) * itemSize(dtype);
  if (end - begin !== need) {
    throw fail(`${dtype} [${shape.slice(0, 9)}] needs ${need} bytes, data_offsets give ${end - begin}`);
  }
  return { dtype, shape, begin, end };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** The tensors, sorted by offset, must follow each other without gaps and fill the data section. */
function checkCoverage(tensors: Map<string, TensorEntry>, dataBytes: number): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const [name, { begin, end }] of sorted) {
    if (begin !== position) {
      const what = begin < position ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new CheckpointError(`safetensors: tensor ${quote(name)} at byte ${begin} ${what} (${position})`);
    }
    position = end;
  }
  if (position !== dataBytes) {
    const what = position > dataBytes ? 'truncated: ' : '';
    throw new CheckpointError(
      `safetensors: ${what}tensors take ${position} bytes, the file has ${dataBytes}`,
    );
  }
}

/** A name for a message: quoted, escaped, of bounded length. */
function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);
}

/** A file about to be written: `head` are its first bytes, `order` what follows, `bytes` the whole size. */
export interface SafetensorsLayout<T extends TensorSpec> {
  head: Uint8Array;
  order: T[];
  bytes: number;
}

/**
 * Lays a file out: tensors by falling item size (else in the order given), header padded with spaces to a
 * multiple of 8, so that every tensor is aligned in the file and may be mapped.
 */
export function layoutSafetensors<T extends TensorSpec>(
  specs: Iterable<T>,
  metadata: Record<string, string> = {},
): SafetensorsLayout<T> {
  const order = [...specs].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
  const seen = new Set<string>(['__metadata__']);
  const records: string[] = [];
  if (Object.keys(metadata).length > 0) records.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let position = 0;
  for (const { name, dtype, shape } of order) {
    addOnce(seen, name);
    const begin = position;
    position += elementCount(shape) * itemSize(dtype);
    if (Number.isNaN(position)) throw new CheckpointError(`safetensors: ${quote(name)}: shape [${shape}]`);
    const record = { dtype, shape, data_offsets: [begin, position] };
    records.push(`${JSON.stringify(name)}:${JSON.stringify(record)}`);
  }
  const head = encodeHead(`{${records.join(',')}}`);
  return { head, order, bytes: head.length + position };
}

function encodeHead(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) throw new CheckpointError(`safetensors: header of ${length} bytes`);
  const head = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, LENGTH_BYTES);
  return head;
}

/** A whole file in memory; for big ones use `writeSafetensors` of train/formats/safetensors.node.ts. */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, HostTensor]>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const specs = Array.from(tensors, ([name, tensor]) => ({ name, ...tensor }));
  const { head, order, bytes } = layoutSafetensors(specs, metadata);
  const file = new Uint8Array(bytes);
  file.set(head);
  let position = head.length;
  for (const { name, dtype, shape, data } of order) {
    const need = elementCount(shape) * itemSize(dtype);
    if (data.byteLength !== need) {
      throw new CheckpointError(`safetensors: ${quote(name)}: ${data.byteLength} bytes, needs ${need}`);
    }
    file.set(toBytes(data), position);
    position += need;
  }
  return file;
}
