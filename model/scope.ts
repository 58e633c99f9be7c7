import { AdawnError } from '../engine/errors.ts';
import {
  allocate,
  blankDevice,
  checkpoint,
  elements,
  type Shape,
  sameShape,
  show,
  splitRows,
  type Tensor,
  withRecorder,
} from '../engine/index.ts';
import type { Ensemble } from './ensemble.ts';
import type { ParameterSpec } from './spec.ts';

/** What a network says of a tensor when it asks for it. */
export interface Declaration {
  /** Shape here. */
  readonly shape: Shape;
  readonly init: ParameterSpec['init'];
  /** Default: a parameter. */
  readonly role?: ParameterSpec['role'];
  /** Default: the same elements in the same order as in the authors' files. */
  readonly layout?: ParameterSpec['layout'];
  /** Shape in the authors' files. Default: `shape`. */
  readonly authorsShape?: Shape;
  /** In blocks of rows where one binding cannot hold the whole tensor. */
  readonly inBlocks?: boolean;
}

/**
 * Where a network finds its tensors, by the names they have in the authors' files. A network is written once,
 * as the function that computes it: run on paper its requests declare the tensors, run in a recording they
 * give them.
 */
export interface Scope {
  /** The tensor of that name. */
  tensor(name: string, declaration: Declaration): Tensor;
  /** The tensor of that name in blocks of rows, one after the other. */
  blocks(name: string, declaration: Declaration): readonly Tensor[];
}

const specOf = (name: string, d: Declaration, maxBinding: number): ParameterSpec => ({
  name,
  shape: d.shape,
  authorsShape: d.authorsShape ?? d.shape,
  layout: d.layout ?? 'plain',
  init: d.init,
  role: d.role ?? 'parameter',
  ...(d.inBlocks ? { blocks: splitRows(d.shape[0], elements(d.shape.slice(1)), maxBinding) } : {}),
});

const blockShapes = ({ shape, blocks }: ParameterSpec): Shape[] =>
  blocks ? blocks.map((rows) => [rows, ...shape.slice(1)]) : [shape];

/** No tensor is too large to be declared. */
const ROOMY = {
  maxBufferSize: Number.POSITIVE_INFINITY,
  maxStorageBufferBindingSize: Number.POSITIVE_INFINITY,
  maxComputeWorkgroupsPerDimension: Number.POSITIVE_INFINITY,
};

/** Whether a network asks for the same tensor in both. */
const sameSpec = (a: ParameterSpec, b: ParameterSpec) => JSON.stringify(a) === JSON.stringify(b);

/**
 * The tensors of a network, in the order in which it asks for them.
 * @param network runs the network on inputs that it makes with `input`
 * @param maxBinding bytes of the largest binding of the device that will hold them: larger weights are split
 * @throws AdawnError when it asks for two different tensors by one name
 */
export function declare(
  network: (p: Scope, input: (shape: Shape) => Tensor) => void,
  maxBinding: number,
): ParameterSpec[] {
  const device = blankDevice({ limits: ROOMY });
  const specs = new Map<string, ParameterSpec>();
  const tensors = new Map<string, readonly Tensor[]>();
  const blocks: Scope['blocks'] = (name, declaration) => {
    const spec = specOf(name, declaration, maxBinding);
    const known = specs.get(name);
    if (known && !sameSpec(known, spec)) throw new AdawnError(`network: ${name} is declared in two ways`);
    specs.set(name, spec);
    if (!known)
      tensors.set(
        name,
        blockShapes(spec).map((shape) => allocate(device, shape, name)),
      );
    return tensors.get(name)!;
  };
  const scope: Scope = { blocks, tensor: (name, declaration) => blocks(name, declaration)[0] };
  withRecorder(device, () => network(scope, (shape) => allocate(device, shape, 'input')));
  return [...specs.values()];
}

/**
 * Specs whose names begin with the first of these prefixes, then those with the second, and so on; then the
 * rest.
 */
export function ordered(specs: readonly ParameterSpec[], prefixes: readonly string[]): ParameterSpec[] {
  const rank = ({ name }: ParameterSpec) => {
    const found = prefixes.findIndex((prefix) => name.startsWith(prefix));
    return found < 0 ? prefixes.length : found;
  };
  return specs.toSorted((a, b) => rank(a) - rank(b));
}

/** Shape of blocks of rows as one tensor. */
const wholeShape = (blocks: readonly Tensor[]): Shape => [
  blocks.reduce((rows, { shape }) => rows + shape[0], 0),
  ...blocks[0].shape.slice(1),
];

/** The tensors of one network of an ensemble, for a recording. */
export function scopeOf({ parameters, u, v }: Ensemble, network: string): Scope {
  const blocks: Scope['blocks'] = (name, declaration) => {
    const full = `${network}.${name}`;
    const found = parameters.tensors.get(full) ?? u.tensors.get(full) ?? v.tensors.get(full);
    if (found && sameShape(wholeShape(found), declaration.shape)) return found;
    const has = found ? show(wholeShape(found)) : 'no such tensor';
    throw new AdawnError(
      `network ${network}: asks for ${name} ${show(declaration.shape)}, and there is ${has}: ` +
        'was it declared with other options?',
    );
  };
  return { blocks, tensor: (name, declaration) => blocks(name, declaration)[0] };
}

/**
 * What `build` gives, computed once more on the way back instead of kept (`checkpoint`). The weights that it
 * asks its scope for count as inputs by themselves.
 * @param inputs activations that it reads
 */
export function recomputed(p: Scope, inputs: readonly Tensor[], build: (p: Scope) => Tensor): Tensor {
  const asked = new Set<Tensor>();
  const blocks: Scope['blocks'] = (name, declaration) => {
    const found = p.blocks(name, declaration);
    for (const tensor of found) asked.add(tensor);
    return found;
  };
  const noting: Scope = { blocks, tensor: (name, declaration) => blocks(name, declaration)[0] };
  return checkpoint(
    () => [...inputs, ...asked],
    () => build(noting),
  );
}
