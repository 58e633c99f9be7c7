/** From what a .pt file holds to a flat list of named tensors. */
import { CheckpointError } from '../../../engine/errors.ts';
import { PyDict, PyTensor, type PyValue } from './values.ts';

/** Dictionaries within dictionaries; the authors' files have 2. */
const MAX_DEPTH = 8;

/** Bounds what a small file with shared dictionaries can expand to. */
const MAX_VALUES = 100_000;

/** Tensors by their dotted path, and the scalars beside them (epoch numbers and the like) as text. */
export interface FlatFile {
  tensors: Map<string, PyTensor>;
  scalars: Record<string, string>;
}

/** Walks nested dictionaries; lists and other values are passed over. */
export function flattenStateDicts(root: PyValue): FlatFile {
  if (!(root instanceof PyDict)) throw new CheckpointError('holds no dictionary of tensors');
  const flat: FlatFile = { tensors: new Map(), scalars: {} };
  let left = MAX_VALUES;
  const walk = (dict: PyDict, prefix: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new CheckpointError(`dictionaries nested more than ${MAX_DEPTH} deep`);
    for (const [key, value] of dict.entries) {
      if (--left < 0) throw new CheckpointError(`more than ${MAX_VALUES} values`);
      const name = prefix + String(key).slice(0, 300);
      if (value instanceof PyDict) walk(value, `${name}.`, depth + 1);
      else if (value instanceof PyTensor) addTensor(flat.tensors, name, value);
      else if (isScalar(value)) flat.scalars[name] = String(value).slice(0, 1000);
    }
  };
  walk(root, '', 1);
  return flat;
}

function addTensor(tensors: Map<string, PyTensor>, name: string, tensor: PyTensor): void {
  if (tensors.has(name)) throw new CheckpointError(`duplicate tensor ${JSON.stringify(name.slice(0, 80))}`);
  tensors.set(name, tensor);
}

function isScalar(value: PyValue): boolean {
  return ['string', 'number', 'boolean', 'bigint'].includes(typeof value);
}
