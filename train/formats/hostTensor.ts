/**
 * Tensors in the host's memory, as files hold them: any element type, raw little-endian bytes. The engine
 * itself computes in float32; `toFloat32` is the way in. Assumes a little-endian host, as WebGPU does.
 */

/** Element types, spelled as safetensors spells them. */
export type DType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

/** F16 and BF16 are kept as their 16 raw bits, BOOL as one byte of 0 or 1. */
export type TensorData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** A tensor in C order; `data.length` is the product of `shape`. */
export interface HostTensor {
  shape: number[];
  dtype: DType;
  data: TensorData;
}

interface ArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TensorData;
}

const ARRAYS: Readonly<Record<DType, ArrayType>> = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** Whether `text` names an element type we know. */
export function isDType(text: unknown): text is DType {
  return typeof text === 'string' && Object.hasOwn(ARRAYS, text);
}

/** Bytes of one element. */
export function itemSize(dtype: DType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Product of the dimensions, or NaN unless each is a whole number >= 0 and the product is exact. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const n of shape) {
    if (!Number.isSafeInteger(n) || n < 0) return Number.NaN;
    count *= n;
    if (!Number.isSafeInteger(count)) return Number.NaN;
  }
  return count;
}

/** The elements in `bytes` (a whole number of them): a view where alignment allows, a copy elsewhere. */
export function fromBytes(dtype: DType, bytes: Uint8Array): TensorData {
  const size = itemSize(dtype);
  // Not bytes.slice(): a Buffer's shares its memory.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new ARRAYS[dtype](aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/** The raw bytes of `data`, without a copy. */
export function toBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The values as float32 (F64 and integers are rounded to nearest); an F32 tensor's own array, not a copy. */
export function toFloat32(tensor: { dtype: DType; data: TensorData }): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (dtype === 'F16') return halfToFloat32(data as Uint16Array);
  if (dtype === 'BF16') return bfloatToFloat32(data as Uint16Array);
  const y = new Float32Array(data.length);
  for (let i = 0; i < y.length; i++) y[i] = Number(data[i]);
  return y;
}

/** A bfloat16 is the upper half of a float32. */
function bfloatToFloat32(bits: Uint16Array): Float32Array {
  const y = new Uint32Array(bits.length);
  for (let i = 0; i < y.length; i++) y[i] = bits[i] << 16;
  return new Float32Array(y.buffer);
}

let halfTable: Uint32Array | undefined;

/** IEEE 754 binary16 to binary32 bits, by a table of all 65536 (built on first use). */
function halfToFloat32(bits: Uint16Array): Float32Array {
  halfTable ??= Uint32Array.from({ length: 65536 }, (_, h) => halfBits(h));
  const y = new Uint32Array(bits.length);
  for (let i = 0; i < y.length; i++) y[i] = halfTable[bits[i]];
  return new Float32Array(y.buffer);
}

/** One half's float32 bits; infinities and NaN payloads survive, subnormals become normal. */
function halfBits(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}
