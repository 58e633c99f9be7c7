import type { Device } from '../../engine/device/device.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { allocateEnsemble, type Ensemble, freeEnsemble } from '../ensemble.ts';
import { scopeOf } from '../scope.ts';
import { type GeneratorConfig, generator, generatorSpecs, type Translation } from './generator.ts';

/** One generator on the GPU, without anything training needs. */
export interface Translator {
  readonly device: Device;
  readonly config: GeneratorConfig;
  readonly ensemble: Ensemble;
}

/** The name a lone generator's tensors are prefixed with here. */
export const LONE = 'generator';

/** Allocates a generator; fill it with `setTensor`. */
export function createTranslator(device: Device, config: GeneratorConfig): Translator {
  const networks = new Map([[LONE, generatorSpecs(config, device.maxBinding)]]);
  return { device, config, ensemble: allocateEnsemble(device, networks, 'generator', false) };
}

/** Records the generator on a picture [N,H,W,3] in [-1, 1]. */
export function runTranslator({ ensemble, config }: Translator, picture: Tensor): Translation {
  return generator(scopeOf(ensemble, LONE), config, picture);
}

/** Returns the generator's memory to the pool. */
export function freeTranslator({ device, ensemble }: Translator): void {
  freeEnsemble(device, ensemble);
}
