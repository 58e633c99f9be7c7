import type { Device } from '../engine/device/device.ts';
import { vjp } from '../engine/grad/autograd.ts';
import { adamStep, clampRange } from '../engine/ops/adam.ts';
import { addInto } from '../engine/ops/add.ts';
import { normalStream, uniformStream } from '../engine/random.ts';
import { place } from '../engine/record/recorder.ts';
import { elements } from '../engine/record/shape.ts';
import { ALIGNMENT, type FlatBuffer, flatRange, type Tensor } from '../engine/record/tensor.ts';
import type { Lookup } from './layers.ts';
import { allocateGroup, freeGroup, type ParameterGroup, setTensor } from './parameters.ts';
import type { ParameterSpec } from './spec.ts';

/** Networks trained by one optimiser: parameters, spectral-norm vectors, and Adam's moments. */
export interface Ensemble {
  readonly parameters: ParameterGroup;
  readonly u: ParameterGroup;
  readonly v: ParameterGroup;
  /** Adam's first and second moments, laid out like the parameters; null for inference. */
  readonly moments: { readonly first: ParameterGroup; readonly second: ParameterGroup } | null;
}

/** Allocates an ensemble of networks, each with its name as prefix: `genA2B.`. */
export function allocateEnsemble(
  device: Device,
  networks: ReadonlyMap<string, readonly ParameterSpec[]>,
  label: string,
  trained: boolean,
): Ensemble {
  const all = [...networks].flatMap(([net, specs]) =>
    specs.map((spec) => ({ ...spec, name: `${net}.${spec.name}` })),
  );
  const trainable = all.filter((s) => s.role === 'parameter' || s.role === 'rho');
  const group = (specs: readonly ParameterSpec[], what: string) =>
    allocateGroup(device, specs, `${label} ${what}`);
  return {
    parameters: group(trainable, 'parameters'),
    // u and v live in buffers of their own: a dispatch that reads one may write the other.
    u: group(
      all.filter((s) => s.role === 'u'),
      'u',
    ),
    v: group(
      all.filter((s) => s.role === 'v'),
      'v',
    ),
    moments: trained ? { first: group(trainable, 'Adam m'), second: group(trainable, 'Adam v') } : null,
  };
}

/** Returns an ensemble's memory to the pool. */
export function freeEnsemble(device: Device, ensemble: Ensemble): void {
  const { parameters, u, v, moments } = ensemble;
  for (const group of [parameters, u, v, ...(moments ? [moments.first, moments.second] : [])]) {
    freeGroup(device, group);
  }
}

/** The tensors of one network of an ensemble by their unprefixed state_dict names. */
export function lookup({ parameters, u, v }: Ensemble, network: string): Lookup {
  return (name) => {
    const full = `${network}.${name}`;
    const found = parameters.tensors.get(full) ?? u.tensors.get(full) ?? v.tensors.get(full);
    if (!found) throw new Error(`model bug: no tensor ${full}`);
    return found;
  };
}

function initialValues(spec: ParameterSpec, seed: number): Float32Array {
  const values = new Float32Array(elements(spec.shape));
  const { kind, value } = spec.init;
  if (kind === 'constant') return values.fill(value);
  const next = kind === 'uniform' ? uniformStream(seed, spec.name) : normalStream(seed, spec.name);
  for (let i = 0; i < values.length; i++) values[i] = kind === 'uniform' ? (2 * next() - 1) * value : next();
  if (kind === 'unit') {
    const norm = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
    for (let i = 0; i < values.length; i++) values[i] /= Math.max(norm, 1e-12);
  }
  return values;
}

/** Sets every tensor as PyTorch's constructors would (same distributions), from a seed. */
export function initialise(device: Device, ensembles: readonly Ensemble[], seed: number): void {
  for (const group of ensembles.flatMap(({ parameters, u, v }) => [parameters, u, v])) {
    for (const spec of group.specs) setTensor(device, group, spec, initialValues(spec, seed));
  }
}

/** Gradients of one recorded step, collected piece by piece in the flat buffers Adam reads. */
export interface Collection {
  readonly ensemble: Ensemble;
  readonly gradients: ParameterGroup;
  /** Those that have a first piece. */
  readonly begun: Set<Tensor>;
}

/** Starts to collect the gradients of a step. */
export function collection(ensemble: Ensemble, gradients: ParameterGroup): Collection {
  return { ensemble, gradients, begun: new Set() };
}

/**
 * Adds the gradients of sum(outputs · cotangents) by the parameters of one network: the first piece of each
 * is computed where Adam reads it (no copy), later ones are added there. So what a loss needs for its way
 * back is free again as soon as it was walked, and no piece waits for the others.
 * @returns the gradients by `others`, from the same walk
 */
export function collect(
  { ensemble, gradients, begun }: Collection,
  network: string,
  [outputs, cotangents]: readonly [readonly Tensor[], readonly Tensor[]],
  others: readonly Tensor[] = [],
): Tensor[] {
  const targets: Tensor[] = [];
  const places: Tensor[] = [];
  for (const { name } of ensemble.parameters.specs) {
    if (!name.startsWith(`${network}.`)) continue;
    targets.push(...ensemble.parameters.tensors.get(name)!);
    places.push(...gradients.tensors.get(name)!);
  }
  const found = vjp(outputs, cotangents, [...others, ...targets], (target, piece) => {
    const at = places[target - others.length];
    if (!at) return;
    if (begun.has(at)) addInto(at, piece);
    else place(piece, at);
    begun.add(at);
  });
  return found.slice(0, others.length);
}

/** Byte ranges of a shard that hold nothing but tensors of these networks. */
function rangesOf({ views }: FlatBuffer, networks: readonly string[]): { from: number; end: number }[] {
  const ranges: { from: number; end: number }[] = [];
  let open = false;
  for (const { label, storage } of views) {
    const own = networks.some((network) => label.startsWith(`${network}.`));
    const { offset: from, bytes } = storage!;
    const end = from + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (own && open) ranges[ranges.length - 1].end = end;
    else if (own) ranges.push({ from, end });
    open = own;
  }
  return ranges;
}

/**
 * One Adam launch for each range of the flat buffers that the networks fill. Part of the program being
 * recorded.
 * @param hyper what `adamHyper(step, lr)` gives, uploaded once per step
 */
export function optimise(
  { ensemble, gradients }: Collection,
  networks: readonly string[],
  hyper: Tensor,
  weightDecay: number,
): void {
  const { parameters, moments } = ensemble;
  if (!moments) throw new Error('model bug: an ensemble without moments cannot be trained');
  parameters.shards.forEach((shard, i) => {
    for (const { from, end } of rangesOf(shard, networks)) {
      const range = (group: ParameterGroup, label: string) =>
        flatRange(group.shards[i], from, (end - from) / 4, label);
      adamStep({
        p: range(parameters, 'parameters'),
        g: range(gradients, 'gradients'),
        m: range(moments.first, 'Adam m'),
        v: range(moments.second, 'Adam v'),
        hyper,
        weightDecay,
      });
    }
  });
}

/** Clamps every rho of the ensemble to [0, 1]: one launch over their common range. */
export function clipRho({ parameters }: Ensemble): void {
  if (parameters.rhoCount === 0) return;
  clampRange(flatRange(parameters.shards[0], 0, parameters.rhoCount, 'rhos'), 0, 1);
}
