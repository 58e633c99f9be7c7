/**
 * What a recipe is written with: its type, the scope that names tensors, and layers. docs/new-gan.md is the
 * guide.
 */
export {
  type ConvLayer,
  conv,
  convTensors,
  dense,
  linearWeight,
  type Normalised,
  normalisedLayers,
  perChannel,
  type SpectralLayerSizes,
  uniformInit,
} from './layers.ts';
export type { CollectOptions } from './optimise.ts';
export {
  type CommonOptions,
  type Domain,
  defaultsOf,
  type Losses,
  type NetworkSpec,
  type OptionSpec,
  type OptionTable,
  type Recipe,
  type Step,
  type Translated,
  type Way,
} from './recipe.ts';
export { type Declaration, declare, ordered, recomputed, type Scope } from './scope.ts';
export type { ParameterSpec } from './spec.ts';
