/**
 * The Python names whose calls build something: those that torch.load(weights_only=True) needs for the
 * tensors of a state_dict. Whatever else a file names becomes a `PyInert`, which nothing calls or constructs,
 * so that loading a file can never run code of the file's choosing.
 */
import { CheckpointError } from '../../../engine/errors.ts';
import type { DType } from '../hostTensor.ts';
import {
  checkTensor,
  MAX_RANK,
  PyDict,
  PyGlobal,
  PyInert,
  PyList,
  PyStorage,
  PyTensor,
  PyTuple,
  type PyValue,
} from './values.ts';

/** `spend` takes the objects made from the unpickler's budget. */
type Call = (args: readonly PyValue[], spend: (count: number) => void) => PyValue;

/** Storage classes of `torch` and their element types. */
export const STORAGES: Readonly<Record<string, DType>> = {
  'torch.DoubleStorage': 'F64',
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

const TENSOR_CALLS: Readonly<Record<string, (args: readonly PyValue[]) => PyTensor | PyInert>> = {
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': ([tensor]) => asTensor(tensor),
  'torch._utils._rebuild_parameter_with_state': ([tensor]) => asTensor(tensor),
};

const CALLS: Readonly<Record<string, Call>> = {
  ...TENSOR_CALLS,
  'torch._tensor._rebuild_from_type_v2': rebuildFromType,
  'torch.Size': ([items]) => new PyTuple(sequence(items)),
  'collections.OrderedDict': orderedDict,
};

/** Characters kept of a module's or a class's name. */
const MAX_NAME = 300;

/** The name of a class or function in the file. */
export function globalOf(module: string, name: string): PyGlobal {
  return new PyGlobal(`${module.slice(0, MAX_NAME)}.${name.slice(0, MAX_NAME)}`);
}

/** What REDUCE and NEWOBJ give: one of the few things built here, or an inert object. */
export function callGlobal(callee: PyValue, args: PyValue, spend: (count: number) => void): PyValue {
  if (!(callee instanceof PyGlobal || callee instanceof PyInert)) {
    throw new CheckpointError('pickle: calls something that is not a function');
  }
  const known = callee instanceof PyGlobal && Object.hasOwn(CALLS, callee.name);
  return known ? CALLS[callee.name](sequence(args), spend) : new PyInert(callee.name, args);
}

/** Adds to a dictionary. Python would let the last of two equal keys win; an honest file has none. */
export function setItem(dict: PyDict, key: PyValue, value: PyValue): void {
  if (key instanceof PyList || key instanceof PyDict) {
    throw new CheckpointError('pickle: a dictionary key is a list or a dictionary');
  }
  if (dict.entries.has(key)) {
    throw new CheckpointError(`pickle: duplicate key ${JSON.stringify(String(key).slice(0, 80))}`);
  }
  dict.entries.set(key, value);
}

/** Python 2 wrote an OrderedDict's items as the argument, Python 3 sets them afterwards. */
function orderedDict(args: readonly PyValue[], spend: (count: number) => void): PyDict {
  const dict = new PyDict();
  if (args.length === 0) return dict;
  const pairs = sequence(args[0]);
  spend(pairs.length);
  for (const pair of pairs) {
    const [key, value, ...rest] = sequence(pair);
    if (key === undefined || value === undefined || rest.length > 0) {
      throw new CheckpointError('pickle: OrderedDict of something that is not pairs');
    }
    setItem(dict, key, value);
  }
  return dict;
}

/** (storage, offset, size, stride, requires_grad, hooks): the last two do not matter here. */
function rebuildTensor(args: readonly PyValue[]): PyTensor | PyInert {
  const [storage, offset, shape, strides] = args;
  if (storage instanceof PyInert) return new PyInert(`tensor of ${storage.name}`, null);
  if (!(storage instanceof PyStorage)) throw new CheckpointError('pickle: a tensor without a storage');
  const tensor = new PyTensor(storage, asCount(offset), counts(shape), counts(strides));
  checkTensor(tensor);
  return tensor;
}

/**
 * (function, type, arguments, attributes): a tensor of a class of its own, or one with attributes. The
 * function must be one for plain tensors, not this one again: a file could nest that without end.
 */
function rebuildFromType([rebuild, , args]: readonly PyValue[]): PyTensor | PyInert {
  const name = rebuild instanceof PyGlobal ? rebuild.name : 'tensor';
  return Object.hasOwn(TENSOR_CALLS, name) ? TENSOR_CALLS[name](sequence(args)) : new PyInert(name, args);
}

/** A parameter's tensor, which may be of a kind that is not read. */
function asTensor(value: PyValue): PyTensor | PyInert {
  if (value instanceof PyTensor || value instanceof PyInert) return value;
  throw new CheckpointError('pickle: a parameter that is not a tensor');
}

/** A whole number >= 0. */
export function asCount(value: PyValue | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new CheckpointError(`pickle: a size or offset is ${describe(value)}, not a whole number >= 0`);
  }
  return value;
}

function counts(value: PyValue | undefined): number[] {
  const items = sequence(value);
  if (items.length > MAX_RANK) throw new CheckpointError(`pickle: a tensor of ${items.length} dimensions`);
  return items.map(asCount);
}

/** The items of a tuple or list. */
export function sequence(value: PyValue | undefined): readonly PyValue[] {
  if (value instanceof PyTuple || value instanceof PyList) return value.items;
  throw new CheckpointError(`pickle: found ${describe(value)} where a tuple belongs`);
}

/** A value's type, and a number's value, for messages. */
function describe(value: PyValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'object' && value !== null) return value.constructor.name;
  return typeof value === 'string' ? 'a string' : String(value).slice(0, 40);
}

/** What a persistent id stands for; `stored` is the data it needs from the file, if any. */
export interface Persistent {
  value: PyValue;
  stored: PyStorage | null;
}

/**
 * Reads a persistent id: ("storage", class, key, device, count[, view]), or in legacy files
 * ("module", class, file, source) where a class is pickled together with its source text.
 */
export function loadPersistent(pid: PyValue): Persistent {
  const [tag, type, key, , count, view] = sequence(pid);
  if (tag === 'module' && type instanceof PyGlobal) return { value: type, stored: null };
  if (tag !== 'storage' || !(type instanceof PyGlobal)) {
    throw new CheckpointError('refused: the file holds an unknown persistent object');
  }
  if (typeof key !== 'string') throw new CheckpointError('pickle: a storage key is not a string');
  if (!Object.hasOwn(STORAGES, type.name)) return { value: new PyInert(type.name, pid), stored: null };
  const stored = new PyStorage(STORAGES[type.name], key, 0, asCount(count));
  if (view === undefined || view === null) return { value: stored, stored };
  const [, offset, length] = sequence(view);
  const storage = new PyStorage(stored.dtype, key, asCount(offset), asCount(length));
  if (storage.offset + storage.count > stored.count) {
    throw new CheckpointError(`pickle: a view leaves its storage of ${stored.count} elements`);
  }
  return { value: storage, stored };
}
