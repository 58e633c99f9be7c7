/**
 * The only Python names a checkpoint may mention, and what calling them builds. They are those of
 * torch.load(weights_only=True) that a state_dict needs; any other name is refused, so that loading a file
 * can never run code of the file's choosing.
 */
import { CheckpointError } from '../../../engine/errors.ts';
import type { DType } from '../hostTensor.ts';
import {
  checkTensor,
  MAX_RANK,
  PyDict,
  PyGlobal,
  type PyKey,
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

const CALLS: Readonly<Record<string, Call>> = {
  'collections.OrderedDict': orderedDict,
  'torch.Size': ([items]) => new PyTuple(sequence(items)),
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': ([tensor]) => asTensor(tensor),
};

/** The value of a name in the file; CheckpointError for any name that is not on the list. */
export function findGlobal(module: string, name: string): PyGlobal {
  const full = `${module}.${name}`;
  if (Object.hasOwn(CALLS, full) || Object.hasOwn(STORAGES, full)) return new PyGlobal(full);
  const shown = JSON.stringify(full.slice(0, 100));
  throw new CheckpointError(
    `refused: the file asks for ${shown}; only tensors, dictionaries, lists, numbers and strings are ` +
      'loaded (in Python, save model.state_dict() instead of the model)',
  );
}

/** What the opcode REDUCE builds. */
export function callGlobal(callee: PyValue, args: PyValue, spend: (count: number) => void): PyValue {
  if (!(callee instanceof PyGlobal) || !Object.hasOwn(CALLS, callee.name)) {
    throw new CheckpointError('pickle: calls something that is not a function');
  }
  return CALLS[callee.name](sequence(args), spend);
}

/** Adds to a dictionary. Python would let the last of two equal keys win; an honest file has none. */
export function setItem(dict: PyDict, key: PyValue, value: PyValue): void {
  if (typeof key === 'object' || typeof key === 'bigint') {
    if (key !== null) throw new CheckpointError('pickle: a dictionary key is neither a string nor a number');
  }
  if (dict.entries.has(key as PyKey)) {
    throw new CheckpointError(`pickle: duplicate key ${JSON.stringify(String(key).slice(0, 80))}`);
  }
  dict.entries.set(key as PyKey, value);
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
function rebuildTensor(args: readonly PyValue[]): PyTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof PyStorage)) throw new CheckpointError('pickle: a tensor without a storage');
  const tensor = new PyTensor(storage, asCount(offset), counts(shape), counts(strides));
  checkTensor(tensor);
  return tensor;
}

function asTensor(value: PyValue): PyTensor {
  if (!(value instanceof PyTensor)) throw new CheckpointError('pickle: a parameter that is not a tensor');
  return value;
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

/** What a persistent id, ("storage", class, key, device, count[, view]), stands for. */
export function loadStorage(pid: PyValue): { storage: PyStorage; stored: PyStorage } {
  const [tag, type, key, , count, view] = sequence(pid);
  if (tag !== 'storage' || !(type instanceof PyGlobal) || !Object.hasOwn(STORAGES, type.name)) {
    const what = tag === 'module' ? 'a whole module: save its state_dict()' : 'an unknown persistent object';
    throw new CheckpointError(`refused: the file holds ${what}`);
  }
  if (typeof key !== 'string') throw new CheckpointError('pickle: a storage key is not a string');
  const stored = new PyStorage(STORAGES[type.name], key, 0, asCount(count));
  if (view === undefined || view === null) return { storage: stored, stored };
  const [, offset, length] = sequence(view);
  const storage = new PyStorage(stored.dtype, key, asCount(offset), asCount(length));
  if (storage.offset + storage.count > stored.count) {
    throw new CheckpointError(`pickle: a view leaves its storage of ${stored.count} elements`);
  }
  return { storage, stored };
}
