/** What the restricted unpickler can build, and nothing else: containers, scalars, tensors. */
import { CheckpointError } from '../../../engine/errors.ts';
import { type DType, elementCount } from '../hostTensor.ts';

/** A Python tuple; torch.Size becomes one too. */
export class PyTuple {
  readonly items: readonly PyValue[];
  constructor(items: readonly PyValue[]) {
    this.items = items;
  }
}

/** A Python list. */
export class PyList {
  readonly items: PyValue[] = [];
}

/** A dict or an OrderedDict. */
export class PyDict {
  readonly entries = new Map<PyKey, PyValue>();
}

/** A class or function by name; only those in `globals.ts` ever become one. */
export class PyGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A run of `count` elements, `offset` elements into the stored data called `key`. */
export class PyStorage {
  readonly dtype: DType;
  readonly key: string;
  readonly offset: number;
  readonly count: number;
  constructor(dtype: DType, key: string, offset: number, count: number) {
    this.dtype = dtype;
    this.key = key;
    this.offset = offset;
    this.count = count;
  }
}

/** A strided view of a storage; `offset` and `strides` count elements. */
export class PyTensor {
  readonly storage: PyStorage;
  readonly offset: number;
  readonly shape: number[];
  readonly strides: number[];
  constructor(storage: PyStorage, offset: number, shape: number[], strides: number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

export type PyKey = string | number | boolean | null;

export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyTuple
  | PyList
  | PyDict
  | PyGlobal
  | PyStorage
  | PyTensor;

/** More dimensions than any network has; bounds the work a tensor's shape may cause. */
export const MAX_RANK = 16;

/** Elements an expanded tensor (stride 0) may have beyond its storage: 64 MiB of float32. */
const MAX_EXPANDED = 2 ** 24;

/** Elements from the first to the last one a view touches, or 0 for an empty view. */
export function spanOf(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((last, n, i) => last + (n - 1) * strides[i], 1);
}

/** Throws unless the view lies inside its storage and does not blow up a small storage to a huge tensor. */
export function checkTensor({ storage, offset, shape, strides }: PyTensor): void {
  const shown = `tensor [${shape}] with strides [${strides}]`;
  if (shape.length !== strides.length) throw new CheckpointError(`${shown}: the two differ in length`);
  const count = elementCount(shape);
  const end = offset + spanOf(shape, strides);
  if (!(end <= storage.count)) {
    throw new CheckpointError(`${shown} at ${offset} leaves its storage of ${storage.count} elements`);
  }
  if (!(count <= Math.max(storage.count, MAX_EXPANDED))) {
    throw new CheckpointError(`${shown}: expands ${storage.count} stored elements to ${count}`);
  }
}
