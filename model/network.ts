import { vjp } from '../engine/autograd.ts';
import type { Device } from '../engine/device.ts';
import { AdawnError } from '../engine/errors.ts';
import { adamStep, clampRange } from '../engine/ops/adam.ts';
import { addInto } from '../engine/ops/add.ts';
import { copyInto } from '../engine/ops/concat.ts';
import { zeros } from '../engine/ops/fill.ts';
import { place, placeProblem } from '../engine/place.ts';
import { normalStream, uniformStream } from '../engine/random.ts';
import { nameOf } from '../engine/recorder.ts';
import { elements } from '../engine/shape.ts';
import { ALIGNMENT, type FlatBuffer, flatRange, type Tensor } from '../engine/tensor.ts';
import type { Lookup } from './layers.ts';
import {
  allocateGroup,
  freeGroup,
  type ParameterGroup,
  type ParameterSpec,
  setTensor,
} from './parameters.ts';

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
  /** Places in the gradient buffers that hold a first piece of this step; later terms are added. */
  readonly begun: Set<Tensor>;
  /** Places that count as zero unless a piece comes, since a piece was allowed to miss them. */
  readonly zero: Set<Tensor>;
}

/** Starts to collect the gradients of a step. */
export function collection(ensemble: Ensemble, gradients: ParameterGroup): Collection {
  return { ensemble, gradients, begun: new Set(), zero: new Set() };
}

/** How a piece of the gradients is collected. */
export interface CollectOptions {
  /** `zero`: parameters that the outputs do not depend on get nothing. Default: they are an error. */
  readonly missing?: 'zero' | 'error';
  /** As in `vjp`. */
  readonly overwritten?: 'use' | 'error';
}

/** Blocks of the parameters of one network, and where each one's gradient is collected. */
function partsOf(
  { ensemble, gradients }: Collection,
  network: string,
): { targets: Tensor[]; places: Tensor[] } {
  const names = ensemble.parameters.specs.map(({ name }) => name).filter((n) => n.startsWith(`${network}.`));
  return {
    targets: names.flatMap((name) => ensemble.parameters.tensors.get(name)!),
    places: names.flatMap((name) => gradients.tensors.get(name)!),
  };
}

/**
 * Adds the gradients of sum(outputs · cotangents) by the parameters of one network: the first piece of each
 * is computed where Adam reads it (no copy) unless somebody else needs it too, later ones are added there. So
 * what a loss needs for its way back is free again as soon as it was walked, and no piece waits for the
 * others.
 * @returns the gradients by `others`, from the same walk
 * @throws AdawnError as `vjp` does
 */
export function collect(
  collecting: Collection,
  network: string,
  [outputs, cotangents]: readonly [readonly Tensor[], readonly Tensor[]],
  others: readonly Tensor[] = [],
  { missing = 'error', overwritten }: CollectOptions = {},
): Tensor[] {
  const { begun, zero } = collecting;
  const { targets, places } = partsOf(collecting, network);
  const onFinal = (target: number, piece: Tensor, owned: boolean) => {
    const at = places[target - others.length];
    if (!at) return;
    if (begun.has(at)) addInto(at, piece);
    else if (owned) put(piece, at);
    else copyInto(at, piece);
    begun.add(at);
  };
  const all = [...others, ...targets];
  const found = vjp(outputs, cotangents, all, { onFinal, overwritten, missing: 'null' });
  const needed = missing === 'error' ? all.length : others.length;
  const lost = found.slice(0, needed).indexOf(null);
  if (lost >= 0) {
    throw new AdawnError(
      `collect: ${nameOf(all[lost])} does not influence the loss; ` +
        "{ missing: 'zero' } allows that of parameters",
    );
  }
  if (missing === 'zero') for (const at of places) zero.add(at);
  return found.slice(0, others.length) as Tensor[];
}

/** Has a result that nobody else uses lie at `at`: computed there where that can be, else copied. */
function put(result: Tensor, at: Tensor): void {
  if (placeProblem(result, at) === null) place(result, at);
  else copyInto(at, result);
}

/** Zeros where no piece of the gradients came, after `collect` allowed that. */
function fillMissing({ begun, zero }: Collection, places: readonly Tensor[]): void {
  for (const at of places) {
    if (begun.has(at)) continue;
    if (!zero.has(at)) throw new AdawnError(`optimise: no gradient of ${nameOf(at)} was collected`);
    put(zeros(at.shape), at);
    begun.add(at);
  }
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
 * @throws AdawnError when the gradient of a parameter was never collected
 */
export function optimise(
  collecting: Collection,
  networks: readonly string[],
  hyper: Tensor,
  weightDecay: number,
): void {
  const { ensemble, gradients } = collecting;
  const { parameters, moments } = ensemble;
  for (const network of networks) fillMissing(collecting, partsOf(collecting, network).places);
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
