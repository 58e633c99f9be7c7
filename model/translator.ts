import type { Device, Tensor } from '../engine/index.ts';
import { allocateEnsemble, type Ensemble, freeEnsemble } from './ensemble.ts';
import type { CommonOptions, Recipe, Translated, Way } from './recipe.ts';
import { scopeOf } from './scope.ts';

/** The network of one way on the GPU, without anything training needs. */
export interface Translator<O extends CommonOptions = CommonOptions> {
  readonly device: Device;
  readonly recipe: Recipe<O>;
  readonly options: O;
  readonly ensemble: Ensemble;
}

/** The name a lone network's tensors are prefixed with here. */
export const LONE = 'generator';

/** Allocates the network that goes a way; fill it with `setTensor`. */
export function createTranslator<O extends CommonOptions>(
  device: Device,
  recipe: Recipe<O>,
  options: O,
  way: Way,
): Translator<O> {
  const specs = recipe.networks(options)[way.network].specs(device.maxBinding);
  const ensemble = allocateEnsemble(device, new Map([[LONE, specs]]), 'generator', false);
  return { device, recipe, options, ensemble };
}

/** Records the network on pictures [N,H,W,3] in [-1, 1]. */
export function runTranslator<O extends CommonOptions>(
  { recipe, options, ensemble }: Translator<O>,
  pictures: Tensor,
): Translated {
  return recipe.translate(scopeOf(ensemble, LONE), pictures, options);
}

/** Returns the network's memory to the pool. */
export function freeTranslator({ device, ensemble }: Pick<Translator, 'device' | 'ensemble'>): void {
  freeEnsemble(device, ensemble);
}
