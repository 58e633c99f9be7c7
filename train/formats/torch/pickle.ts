/**
 * Writes the pickle (protocol 2) of a dictionary of state_dicts, with those operations only that
 * torch.load(weights_only=True) knows: PROTO, GLOBAL, REDUCE, BINPERSID, tuples, dictionaries, numbers, text.
 */

import { CheckpointError } from '../../../engine/errors.ts';
import type { DType } from '../hostTensor.ts';
import { STORAGES } from './globals.ts';

/** A tensor as the pickle describes it: its data is the whole of the storage called `key`. */
export interface PickledTensor {
  key: string;
  dtype: DType;
  shape: readonly number[];
  /** Elements. */
  count: number;
}

/** A tensor, the OrderedDict of tensors that one level of nesting makes, or a text. */
export type PickledEntry = PickledTensor | ReadonlyMap<string, PickledTensor> | string;

export type PickledTree = ReadonlyMap<string, PickledEntry>;

/** Values the legacy format's other pickles need. */
export type Plain = boolean | number | bigint | string | readonly Plain[] | ReadonlyMap<string, Plain>;

const MARK = 0x28;
const EMPTY_DICT = 0x7d;
const EMPTY_TUPLE = 0x29;
const TUPLE = 0x74;
const SETITEMS = 0x75;
const REDUCE = 0x52;
const BINPERSID = 0x51;
const NONE = 0x4e;
const NEWFALSE = 0x89;
const NEWTRUE = 0x88;
const STOP = 0x2e;

const ORDERED_DICT = 'collections.OrderedDict';

/** The file's main pickle. `legacy` adds the view field that persistent ids had before torch 1.6. */
export function pickleTree(tree: PickledTree, legacy: boolean): Uint8Array {
  const out = new Output();
  out.put(EMPTY_DICT, MARK);
  for (const [name, value] of tree) {
    out.text(name);
    if (typeof value === 'string') out.text(value);
    else if ('key' in value) emitTensor(out, value, legacy);
    else emitOrderedDict(out, value, legacy);
  }
  out.put(SETITEMS, STOP);
  return out.bytes();
}

/** A pickle of plain data (dictionaries, lists, text, numbers). */
export function picklePlain(value: Plain): Uint8Array {
  const out = new Output();
  emitPlain(out, value);
  out.put(STOP);
  return out.bytes();
}

function emitOrderedDict(out: Output, dict: ReadonlyMap<string, PickledTensor>, legacy: boolean): void {
  out.global(ORDERED_DICT);
  out.put(EMPTY_TUPLE, REDUCE, MARK);
  for (const [name, tensor] of dict) {
    out.text(name);
    emitTensor(out, tensor, legacy);
  }
  out.put(SETITEMS);
}

/** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, OrderedDict()) */
function emitTensor(out: Output, { key, dtype, shape, count }: PickledTensor, legacy: boolean): void {
  out.global('torch._utils._rebuild_tensor_v2');
  out.put(MARK, MARK);
  out.text('storage');
  out.global(storageName(dtype));
  out.text(key);
  out.text('cpu');
  out.integer(count);
  if (legacy) out.put(NONE);
  out.put(TUPLE, BINPERSID);
  out.integer(0);
  emitInts(out, shape);
  emitInts(out, contiguousStrides(shape));
  out.put(NEWFALSE);
  out.global(ORDERED_DICT);
  out.put(EMPTY_TUPLE, REDUCE, TUPLE, REDUCE);
}

function storageName(dtype: DType): string {
  const found = Object.keys(STORAGES).find((name) => STORAGES[name] === dtype);
  if (!found) throw new CheckpointError(`PyTorch has no element type ${dtype}`);
  return found;
}

function contiguousStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  // As torch counts: a dimension of 0 takes the room of 1.
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * Math.max(shape[i + 1], 1);
  return strides;
}

function emitInts(out: Output, values: readonly number[]): void {
  out.put(MARK);
  for (const value of values) out.integer(value);
  out.put(TUPLE);
}

function emitPlain(out: Output, value: Plain): void {
  if (typeof value === 'boolean') out.put(value ? NEWTRUE : NEWFALSE);
  else if (typeof value === 'string') out.text(value);
  else if (typeof value === 'number' || typeof value === 'bigint') out.integer(value);
  else if (value instanceof Map) {
    out.put(EMPTY_DICT, MARK);
    for (const [key, item] of value) {
      out.text(key);
      emitPlain(out, item);
    }
    out.put(SETITEMS);
  } else {
    out.put(0x5d, MARK); // EMPTY_LIST
    for (const item of value as readonly Plain[]) emitPlain(out, item);
    out.put(0x65); // APPENDS
  }
}

/** Collects opcodes; names that come again are taken from the memo. */
class Output {
  readonly #bytes: number[] = [0x80, 2];
  readonly #memo = new Map<string, number>();

  put(...bytes: number[]): void {
    for (const byte of bytes) this.#bytes.push(byte & 255);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  text(value: string): void {
    const utf8 = new TextEncoder().encode(value);
    this.put(0x58, utf8.length, utf8.length >> 8, utf8.length >> 16, utf8.length >> 24); // BINUNICODE
    for (const byte of utf8) this.put(byte);
  }

  /** `name` is `module.attribute`; fewer than 256 different ones are ever written. */
  global(name: string): void {
    const known = this.#memo.get(name);
    if (known !== undefined) {
      this.put(0x68, known); // BINGET
      return;
    }
    const dot = name.lastIndexOf('.');
    this.put(0x63, ...new TextEncoder().encode(`${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`)); // GLOBAL
    this.put(0x71, this.#memo.size); // BINPUT
    this.#memo.set(name, this.#memo.size);
  }

  integer(value: number | bigint): void {
    if (value >= 0 && value < 256)
      this.put(0x4b, Number(value)); // BININT1
    else if (value >= 0 && value < 2 ** 31) {
      const n = Number(value);
      this.put(0x4a, n, n >> 8, n >> 16, n >> 24); // BININT
    } else this.long(BigInt(value));
  }

  /** LONG1: the length, then two's complement with room for the sign. */
  private long(value: bigint): void {
    const digits: number[] = [];
    for (let rest = value; rest > 0n; rest >>= 8n) digits.push(Number(rest & 255n));
    if ((digits.at(-1) ?? 0) > 127) digits.push(0);
    this.put(0x8a, digits.length, ...digits);
  }
}
