import { type Device, elements, normalStream, uniformStream } from '../engine/index.ts';
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

/** Values that are drawn in one go: enough to be quick, few enough for whoever waits for a turn. */
const DRAWN_AT_ONCE = 2 ** 20;

function draw(values: Float32Array, next: () => number, scale: number | null): void {
  for (let i = 0; i < values.length; i++) values[i] = scale === null ? next() : (2 * next() - 1) * scale;
}

function* initialValues(spec: ParameterSpec, seed: number): Generator<void, Float32Array> {
  const values = new Float32Array(elements(spec.shape));
  const { kind, value } = spec.init;
  if (kind === 'constant') return values.fill(value);
  const next = kind === 'uniform' ? uniformStream(seed, spec.name) : normalStream(seed, spec.name);
  for (let from = 0; from < values.length; from += DRAWN_AT_ONCE) {
    draw(values.subarray(from, from + DRAWN_AT_ONCE), next, kind === 'uniform' ? value : null);
    yield;
  }
  if (kind === 'unit') {
    const norm = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
    for (let i = 0; i < values.length; i++) values[i] /= Math.max(norm, 1e-12);
  }
  return values;
}

/**
 * Sets every tensor as PyTorch's constructors would (same distributions), from a seed. Takes seconds, or a
 * minute for large models; so it is done piece by piece, and whoever runs it can do other things in between.
 */
export function* initialising(
  device: Device,
  ensembles: readonly Ensemble[],
  seed: number,
): Generator<void, void> {
  for (const group of ensembles.flatMap(({ parameters, u, v }) => [parameters, u, v])) {
    for (const spec of group.specs) setTensor(device, group, spec, yield* initialValues(spec, seed));
  }
}

/** The same in one go. */
export function initialise(device: Device, ensembles: readonly Ensemble[], seed: number): void {
  for (const _ of initialising(device, ensembles, seed));
}
