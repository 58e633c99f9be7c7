import { AdawnError } from '../engine/errors.ts';
import {
  ADAM_HYPER,
  type AdamOptions,
  adamHyper,
  allocate,
  type Device,
  elements,
  type FlatBuffer,
  flatBuffer,
  flatRange,
  normalStream,
  release,
  type Tensor,
  upload,
} from '../engine/index.ts';
import { allocateEnsemble, type Ensemble, freeEnsemble } from './ensemble.ts';
import { allocateHealth, clipRho, collect, collection, type Health, optimise } from './optimise.ts';
import { allocateGroup, freeGroup, type ParameterGroup } from './parameters.ts';
import {
  type CommonOptions,
  checkOptions,
  type Domain,
  type Losses,
  type Recipe,
  type Step,
} from './recipe.ts';
import { type Scope, scopeOf } from './scope.ts';

/** The networks that one optimiser trains, and what it needs for that. */
export interface Trained {
  readonly ensemble: Ensemble;
  /** In the flat order that Adam reads. */
  readonly gradients: ParameterGroup;
  readonly adam: AdamOptions;
}

/** A recipe's networks on the GPU, with what training them needs. */
export interface Model<O extends CommonOptions = CommonOptions> {
  readonly device: Device;
  readonly recipe: Recipe<O>;
  readonly options: O;
  /** By the optimiser's name. */
  readonly trained: Readonly<Record<string, Trained>>;
  /** The optimiser of each network, by the network's name. */
  readonly optimiserOf: ReadonlyMap<string, string>;
  readonly health: Health;
}

/** Adam's numbers of the coming iteration, a vector for each optimiser, by its name. */
export interface Hypers {
  readonly flat: FlatBuffer;
  readonly of: Readonly<Record<string, Tensor>>;
}

/**
 * Allocates a recipe's networks, their optimisers and gradients; values are undefined until `initialise`.
 * @throws AdawnError for impossible options, DeviceError when it does not fit.
 */
export function createModel<O extends CommonOptions>(
  device: Device,
  recipe: Recipe<O>,
  options: O,
): Model<O> {
  checkOptions(recipe, options);
  const networks = Object.entries(recipe.networks(options));
  const dotted = networks.find(([name]) => name.includes('.'))?.[0];
  // A tensor's name in a checkpoint is the network's up to its first dot.
  if (dotted) throw new AdawnError(`${recipe.title}: network ${dotted} must have a name without a dot`);
  const optimiserOf = new Map(networks.map(([name, { optimiser }]) => [name, optimiser]));
  const trained: Record<string, Trained> = {};
  for (const [optimiser, adam] of Object.entries(recipe.optimisers(options))) {
    const own = networks.filter(([, network]) => network.optimiser === optimiser);
    const specs = new Map(own.map(([name, network]) => [name, network.specs(device.maxBinding)]));
    const ensemble = allocateEnsemble(device, specs, `networks of ${optimiser}`, true);
    const gradients = allocateGroup(device, ensemble.parameters.specs, `gradients of ${optimiser}`);
    trained[optimiser] = { ensemble, gradients, adam };
  }
  const health = allocateHealth(
    device,
    networks.map(([name]) => name),
  );
  return { device, recipe, options, trained, optimiserOf, health };
}

/** Returns the model's memory to the pool. */
export function freeModel({ device, trained, health }: Model): void {
  for (const { ensemble, gradients } of Object.values(trained)) {
    freeEnsemble(device, ensemble);
    freeGroup(device, gradients);
  }
  device.pool.release(health.flags.buffer);
}

/** All ensembles, in the order of the optimisers. */
export const ensemblesOf = ({ trained }: Model): Ensemble[] =>
  Object.values(trained).map(({ ensemble }) => ensemble);

/** The tensors of a network, for a recording. */
export function scopeIn({ trained, optimiserOf }: Model, network: string): Scope {
  const optimiser = optimiserOf.get(network);
  if (optimiser === undefined) throw new Error(`model bug: no network ${network}`);
  return scopeOf(trained[optimiser].ensemble, network);
}

/** Room for Adam's numbers of an iteration. Free it with `device.pool.release(hypers.flat.buffer)`. */
export function allocateHypers({ device, trained }: Model): Hypers {
  const names = Object.keys(trained);
  const parts = names.map((label) => ({ label: `Adam numbers of ${label}`, shape: [ADAM_HYPER] }));
  const flat = flatBuffer(device, parts, 'Adam numbers');
  return { flat, of: Object.fromEntries(names.map((name, i) => [name, flat.views[i]])) };
}

/** Uploads Adam's numbers of an iteration; `number` counts from 1. */
export function setHypers({ device, trained }: Model, { flat }: Hypers, number: number, lr: number): void {
  const all = new Float32Array(flat.bytes / 4);
  Object.values(trained).forEach(({ adam }, i) => {
    all.set(adamHyper(number, lr, adam), flat.views[i].storage!.offset / 4);
  });
  upload(device, flatRange(flat, 0, all.length, 'Adam numbers'), all);
}

/** What the host writes before each iteration. */
export interface Inputs {
  readonly real: Readonly<Record<Domain, Tensor>>;
  readonly noise: Readonly<Record<string, Tensor>>;
  readonly hypers: Hypers;
}

/** Allocates what the host writes before each iteration of a model. */
export function allocateInputs(model: Model): Inputs {
  const { device, recipe, options } = model;
  const { batch, size } = options;
  const picture = (domain: Domain) => allocate(device, [batch, size, size, 3], `batch ${domain}`);
  const shapes = Object.entries(recipe.noise?.(options) ?? {});
  const noise = Object.fromEntries(shapes.map(([name, shape]) => [name, allocate(device, shape, name)]));
  return { real: { A: picture('A'), B: picture('B') }, noise, hypers: allocateHypers(model) };
}

/** Returns the memory of the inputs to the pool. */
export function freeInputs({ device }: Model, { real, noise, hypers }: Inputs): void {
  for (const tensor of [...Object.values(real), ...Object.values(noise)]) release(device, tensor);
  device.pool.release(hypers.flat.buffer);
}

/** Standard normal numbers: the same for the same seed, name and iteration, whatever was drawn before. */
export function drawNoise(seed: number, name: string, iteration: number, count: number): Float32Array {
  const next = normalStream(seed, `${name} ${iteration}`);
  return Float32Array.from({ length: count }, next);
}

/** Uploads the noise of an iteration. */
export function setNoise({ device }: Model, { noise }: Inputs, seed: number, iteration: number): void {
  for (const [name, tensor] of Object.entries(noise)) {
    upload(device, tensor, drawNoise(seed, name, iteration, elements(tensor.shape)));
  }
}

/** Records one training iteration of a model. */
export function recordStep<O extends CommonOptions>(
  model: Model<O>,
  { real, noise, hypers }: Inputs,
): Losses {
  const { recipe, options, trained, optimiserOf, health } = model;
  const collections = Object.fromEntries(
    Object.entries(trained).map(([name, { ensemble, gradients }]) => [
      name,
      collection(ensemble, gradients, health),
    ]),
  );
  const step: Step<O> = {
    options,
    real,
    noise,
    scope: (network) => scopeIn(model as unknown as Model, network),
    collect: (network, ...rest) => collect(collections[optimiserOf.get(network)!], network, ...rest),
    update(networks) {
      const optimiser = optimiserOf.get(networks[0])!;
      const { adam, ensemble } = trained[optimiser];
      optimise(collections[optimiser], networks, hypers.of[optimiser], adam);
      clipRho(ensemble);
    },
  };
  return recipe.step(step);
}
