/** From what a .pt file holds to a flat list of named tensors. */
import { CheckpointError } from '../../../engine/errors.ts';
import { PyDict, PyGlobal, PyInert, PyList, PyTensor, PyTuple, type PyValue } from './values.ts';

/** Dictionaries within dictionaries that are looked into; the authors' files have 2. */
const MAX_DEPTH = 8;

/** Bounds what a small file with shared dictionaries can expand to. */
const MAX_VALUES = 1_000_000;

/** Numbers and texts that are kept; a dictionary of every loss of a run may hold more. */
const MAX_SCALARS = 10_000;

/** What a file holds, each by its dotted path. */
export interface FlatFile {
  tensors: Map<string, PyTensor>;
  /** Numbers and texts beside the tensors (epochs and the like) as text. */
  scalars: Record<string, string>;
  /** Objects that are not read, in words: `argparse.Namespace`. */
  objects: Map<string, string>;
}

/** Walks nested dictionaries; lists and other values are passed over. */
export function flattenStateDicts(root: PyValue): FlatFile {
  const top = dictionaryOf(root);
  if (!top) throw new CheckpointError(notDictionary(root));
  const flat: FlatFile = { tensors: new Map(), scalars: {}, objects: new Map() };
  let left = MAX_VALUES;
  let scalars = 0;
  const walk = (dict: PyDict, prefix: string, depth: number): void => {
    for (const [key, value] of dict.entries) {
      if (--left < 0) throw new CheckpointError(`more than ${MAX_VALUES} values`);
      if (typeof key === 'object' && key !== null) continue; // a tuple as a key names no tensor of a network
      if (isScalar(value) && ++scalars > MAX_SCALARS) continue;
      const name = prefix + String(key).slice(0, 300);
      const inner = dictionaryOf(value);
      if (inner && depth < MAX_DEPTH) walk(inner, `${name}.`, depth + 1);
      else if (value instanceof PyTensor) addTensor(flat.tensors, name, value);
      else if (value instanceof PyInert) flat.objects.set(name, describeObject(value));
      else if (isScalar(value)) flat.scalars[name] = String(value).slice(0, 1000);
    }
  };
  walk(top, '', 1);
  return flat;
}

/** A dictionary, or what an object that is a kind of one (defaultdict and the like) holds as such. */
function dictionaryOf(value: PyValue): PyDict | undefined {
  return value instanceof PyDict ? value : value instanceof PyInert ? value.entries : undefined;
}

function addTensor(tensors: Map<string, PyTensor>, name: string, tensor: PyTensor): void {
  if (tensors.has(name)) throw new CheckpointError(`duplicate tensor ${JSON.stringify(name.slice(0, 80))}`);
  tensors.set(name, tensor);
}

function isScalar(value: PyValue): boolean {
  return ['string', 'number', 'boolean', 'bigint'].includes(typeof value);
}

/** An nn.Module keeps what it is made of in these attributes. */
function isModule({ state }: PyInert): boolean {
  return state instanceof PyDict && state.entries.has('_modules') && state.entries.has('_parameters');
}

function describeObject(object: PyInert): string {
  const name = object.name.slice(0, 100);
  return isModule(object) ? `a whole model of the class ${name}` : name;
}

function notDictionary(root: PyValue): string {
  const none = 'holds no dictionary of tensors';
  if (root instanceof PyInert && isModule(root)) {
    const advice = 'there, save model.state_dict() instead';
    return `holds ${describeObject(root)}, which only its own Python code can open: ${advice}`;
  }
  const kinds: [boolean, string][] = [
    [root instanceof PyInert, `one object (${root instanceof PyInert ? describeObject(root) : ''})`],
    [root instanceof PyGlobal, 'the name of a class'],
    [root instanceof PyTensor, 'a single tensor'],
    [root instanceof PyList || root instanceof PyTuple, 'a list'],
  ];
  const kind = kinds.find(([is]) => is)?.[1];
  return `${none}${kind ? `, but ${kind}` : ''}: in Python, save a state_dict()`;
}
