import type { Device } from '../../engine/device/device.ts';
import { AdawnError } from '../../engine/errors.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { allocateEnsemble, type Ensemble, freeEnsemble } from '../ensemble.ts';
import { allocateHealth, type Health } from '../optimise.ts';
import { allocateGroup, freeGroup, type ParameterGroup } from '../parameters.ts';
import { scopeOf } from '../scope.ts';
import type { ParameterSpec } from '../spec.ts';
import { checkDiscriminator, discriminatorSpecs } from './discriminator.ts';
import { generator, generatorSpecs, type Translation } from './generator.ts';

/** U-GAT-IT's options; names and defaults are the authors' (their `main.py`). */
export interface UgatitConfig {
  readonly light: boolean;
  readonly size: number;
  readonly ch: number;
  readonly nRes: number;
  readonly batch: number;
  /** Layers of the global and the local discriminators. */
  readonly disLayers: readonly [number, number];
  readonly weightDecay: number;
  readonly advWeight: number;
  readonly cycleWeight: number;
  readonly identityWeight: number;
  readonly camWeight: number;
  /**
   * Compute the generators' residual blocks once more on the way back instead of keeping what is in them.
   * Changes memory and time, but no number, so a continued run may change it. Absent (as in files of older
   * versions): no.
   */
  readonly checkpointActivations?: boolean;
}

export const DEFAULTS: UgatitConfig = {
  light: true,
  size: 256,
  ch: 64,
  nRes: 4,
  batch: 1,
  disLayers: [7, 5],
  weightDecay: 1e-4,
  advWeight: 1,
  cycleWeight: 10,
  identityWeight: 10,
  camWeight: 1000,
};

export const GENERATORS = ['genA2B', 'genB2A'] as const;
export const DISCRIMINATORS = ['disGA', 'disGB', 'disLA', 'disLB'] as const;
export type Generator = (typeof GENERATORS)[number];
export type Discriminator = (typeof DISCRIMINATORS)[number];

/** Throws one sentence for a configuration that cannot work. @throws AdawnError */
export function checkConfig(config: UgatitConfig): void {
  const whole = { size: config.size, ch: config.ch, 'n-res': config.nRes, batch: config.batch };
  for (const [name, value] of Object.entries(whole)) {
    const least = name === 'n-res' ? 0 : 1;
    if (!Number.isInteger(value) || value < least) {
      throw new AdawnError(`--${name} must be a whole number of at least ${least}, got ${value}`);
    }
  }
  if (config.size % 4 !== 0) {
    const near = Math.max(4, Math.round(config.size / 4) * 4);
    throw new AdawnError(`--size must be a multiple of 4, got ${config.size}: use --size ${near}`);
  }
  for (const layers of config.disLayers) checkDiscriminator(layers, config.size);
}

/** Layers of a discriminator by its name: `G` is global, `L` is local. */
export function layersOf(config: UgatitConfig, name: Discriminator): number {
  return config.disLayers[name.startsWith('disG') ? 0 : 1];
}

/** The six networks on the GPU, with what training them needs. */
export interface Ugatit {
  readonly device: Device;
  readonly config: UgatitConfig;
  readonly generators: Ensemble;
  readonly discriminators: Ensemble;
  /** Gradients of each ensemble, in the flat order Adam reads. */
  readonly gradients: { readonly g: ParameterGroup; readonly d: ParameterGroup };
  readonly health: Health;
}

/** Every tensor of a network, by the network's name. */
export function networkSpecs(
  config: UgatitConfig,
  name: Generator | Discriminator,
  maxBinding: number,
): ParameterSpec[] {
  if (name === 'genA2B' || name === 'genB2A') return generatorSpecs(config, maxBinding);
  return discriminatorSpecs({ ch: config.ch, layers: layersOf(config, name) }, maxBinding);
}

/**
 * Allocates the six networks, their optimisers and gradients; values are undefined until `initialise`.
 * @throws AdawnError for an impossible configuration, DeviceError when it does not fit.
 */
export function createUgatit(device: Device, config: UgatitConfig): Ugatit {
  checkConfig(config);
  const specs = (names: readonly (Generator | Discriminator)[]) =>
    new Map(names.map((name) => [name, networkSpecs(config, name, device.maxBinding)]));
  const generators = allocateEnsemble(device, specs(GENERATORS), 'generators', true);
  const discriminators = allocateEnsemble(device, specs(DISCRIMINATORS), 'discriminators', true);
  const gradients = {
    g: allocateGroup(device, generators.parameters.specs, 'generator gradients'),
    d: allocateGroup(device, discriminators.parameters.specs, 'discriminator gradients'),
  };
  const health = allocateHealth(device, [...GENERATORS, ...DISCRIMINATORS]);
  return { device, config, generators, discriminators, gradients, health };
}

/** Returns the model's memory to the pool. */
export function freeUgatit({ device, generators, discriminators, gradients, health }: Ugatit): void {
  freeEnsemble(device, generators);
  freeEnsemble(device, discriminators);
  freeGroup(device, gradients.g);
  freeGroup(device, gradients.d);
  device.pool.release(health.flags.buffer);
}

/** Runs one generator inside a recording. */
export function translate(model: Ugatit, name: Generator, picture: Tensor): Translation {
  return generator(scopeOf(model.generators, name), model.config, picture);
}
