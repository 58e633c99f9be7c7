import { type ConvOptions, conv2d } from '../engine/ops/conv2d.ts';
import { spectra, type Updates } from '../engine/ops/spectralNorm.ts';
import { reshape } from '../engine/record/recorder.ts';
import { elements } from '../engine/record/shape.ts';
import type { Spectrum } from '../engine/record/spectrum.ts';
import type { Tensor } from '../engine/record/tensor.ts';
import type { ParameterSpec } from './parameters.ts';

/** Finds the blocks of a network's tensor by its state_dict name. */
export type Lookup = (name: string) => readonly Tensor[];

/** The tensor of that name, which must be in one block. */
export function one(p: Lookup, name: string): Tensor {
  return p(name)[0];
}

/** PyTorch's default for conv and linear layers: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases alike. */
function uniformInit(fanIn: number): ParameterSpec['init'] {
  return { kind: 'uniform', value: 1 / Math.sqrt(fanIn) };
}

/**
 * Specs of a convolution `name`: its weight and, if `bias`, its bias. `suffix` is `_orig` under spectral
 * norm.
 */
export function convSpecs(
  name: string,
  [ci, co, k]: readonly [number, number, number],
  bias: boolean,
  suffix = '',
): ParameterSpec[] {
  const init = uniformInit(ci * k * k);
  const weight: ParameterSpec = {
    name: `${name}.weight${suffix}`,
    shape: [co, k, k, ci],
    authorsShape: [co, ci, k, k],
    layout: 'conv',
    init,
    role: 'parameter',
  };
  if (!bias) return [weight];
  return [weight, plainSpec(`${name}.bias`, [co], init)];
}

/** Spec of a tensor that is laid out alike on both sides. */
export function plainSpec(
  name: string,
  shape: readonly number[],
  init: ParameterSpec['init'],
  role: ParameterSpec['role'] = 'parameter',
  authorsShape: readonly number[] = shape,
): ParameterSpec {
  return { name, shape, authorsShape, layout: 'plain', init, role };
}

/** Spec of a linear layer's weight [out, in], without bias. */
export function linearSpec(name: string, inputs: number, outputs: number, suffix = ''): ParameterSpec {
  return plainSpec(`${name}.weight${suffix}`, [outputs, inputs], uniformInit(inputs));
}

/** Specs of ILN's or AdaILN's per-channel tensors, (1,C,1,1) in the authors' files. */
export function channelSpec(name: string, c: number, value: number, role: ParameterSpec['role']) {
  return plainSpec(name, [c], { kind: 'constant', value }, role, [1, c, 1, 1]);
}

/** Specs of a spectrally normalised convolution: weight_orig, bias, and the vectors u and v. */
export function spectralConvSpecs(
  name: string,
  [ci, co, k]: readonly [number, number, number],
  bias: boolean,
): ParameterSpec[] {
  const v: ParameterSpec = {
    name: `${name}.weight_v`,
    shape: [k, k, ci],
    authorsShape: [ci * k * k],
    layout: 'convVector',
    init: { kind: 'unit', value: 1 },
    role: 'v',
  };
  return [...convSpecs(name, [ci, co, k], bias, '_orig'), vectorU(name, co), v];
}

/** Specs of a spectrally normalised linear layer without bias. */
export function spectralLinearSpecs(name: string, inputs: number): ParameterSpec[] {
  const v = plainSpec(`${name}.weight_v`, [inputs], { kind: 'unit', value: 1 }, 'v');
  return [linearSpec(name, inputs, 1, '_orig'), vectorU(name, 1), v];
}

function vectorU(name: string, outputs: number): ParameterSpec {
  return plainSpec(`${name}.weight_u`, [outputs], { kind: 'unit', value: 1 }, 'u');
}

/** A weight and what it is to be divided by. */
export interface Normalised {
  /** The weight as it is stored. */
  readonly w: Tensor;
  readonly spectrum: Spectrum;
}

/** Spectra of the layers of these names, in the order of their specs, where one launch can serve many. */
export function normalisedLayers(
  p: Lookup,
  names: readonly string[],
  updates: Updates,
): (name: string) => Normalised {
  const layers = names.map((name) => {
    const v = one(p, `${name}.weight_v`);
    const flat = reshape(v, [elements(v.shape)]);
    return { w: one(p, `${name}.weight_orig`), u: one(p, `${name}.weight_u`), v: flat };
  });
  const found = spectra(layers, updates);
  const byName = new Map(names.map((name, i) => [name, { w: layers[i].w, spectrum: found[i] }]));
  return (name) => byName.get(name)!;
}

/** A convolution by name, without bias unless `bias`. */
export function conv(p: Lookup, name: string, x: Tensor, options: ConvOptions, bias = false): Tensor {
  return conv2d(x, one(p, `${name}.weight`), bias ? one(p, `${name}.bias`) : null, options);
}
