/** What the restricted unpickler can build, and nothing else: containers, scalars, tensors, inert objects. */
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

/** A dict or an OrderedDict. Keys that are objects are told apart by identity. */
export class PyDict {
  readonly entries = new Map<PyValue, PyValue>();
}

/** The name of a class or function. Nothing is looked up or imported: it is a text, and stays one. */
export class PyGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/**
 * What stands for an object of a class that `globals.ts` does not know (a run's options, a scheduler's
 * state): the name of the class and what the file would have given it. Nothing ever makes the object of them.
 */
export class PyInert {
  readonly name: string;
  readonly args: PyValue;
  /** What BUILD would have set: as a rule a dictionary of the object's attributes. */
  state: PyValue | undefined;
  /** Entries of an object that is a kind of dictionary, and items of one that is a kind of list or set. */
  entries: PyDict | undefined;
  items: PyList | undefined;
  constructor(name: string, args: PyValue) {
    this.name = name;
    this.args = args;
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
  | PyInert
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
