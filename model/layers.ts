import {
  type ConvOptions,
  conv2d,
  elements,
  type LinearOptions,
  linear,
  reshape,
  type Spectrum,
  spectra,
  type Tensor,
  type Updates,
} from '../engine/index.ts';
import type { Declaration, Scope } from './scope.ts';

/** PyTorch's default for conv and linear layers: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases alike. */
export function uniformInit(fanIn: number): Declaration['init'] {
  return { kind: 'uniform', value: 1 / Math.sqrt(fanIn) };
}

/** Weight [co,k,k,ci] of a convolution, [co,ci,k,k] in PyTorch's files. */
function convWeight(ci: number, co: number, k: number): Declaration {
  return {
    shape: [co, k, k, ci],
    authorsShape: [co, ci, k, k],
    layout: 'conv',
    init: uniformInit(ci * k * k),
  };
}

/** What a convolution is made of, beside what `conv2d` takes. */
export interface ConvLayer extends ConvOptions {
  /** Channels that come out. */
  readonly to: number;
  /** Side of the kernel. */
  readonly k: number;
  readonly bias?: boolean;
}

/** A convolution by name: `name.weight` and, if it has one, `name.bias`. */
export function conv(p: Scope, name: string, x: Tensor, { to, k, bias, ...options }: ConvLayer): Tensor {
  const ci = x.shape[3];
  const w = p.tensor(`${name}.weight`, convWeight(ci, to, k));
  const b = bias ? p.tensor(`${name}.bias`, { shape: [to], init: uniformInit(ci * k * k) }) : null;
  return conv2d(x, w, b, options);
}

/** Weight and bias of a convolution that a fused op computes. */
export function convTensors(
  p: Scope,
  name: string,
  [ci, co, k]: readonly [number, number, number],
): { weight: Tensor; bias: Tensor } {
  const weight = p.tensor(`${name}.weight`, convWeight(ci, co, k));
  return { weight, bias: p.tensor(`${name}.bias`, { shape: [co], init: uniformInit(ci * k * k) }) };
}

/** Weight [out, in] of a linear layer, declared by name. */
export function linearWeight(p: Scope, name: string, inputs: number, outputs: number): Tensor {
  return p.tensor(`${name}.weight`, { shape: [outputs, inputs], init: uniformInit(inputs) });
}

/** A linear layer without bias, by name. */
export function dense(p: Scope, name: string, x: Tensor, to: number, options?: LinearOptions): Tensor {
  return linear(x, linearWeight(p, name, x.shape[1], to), null, options);
}

/** One number per channel, (1,C,1,1) in the authors' files. */
export function perChannel(
  p: Scope,
  name: string,
  c: number,
  value: number,
  role: Declaration['role'] = 'parameter',
): Tensor {
  return p.tensor(name, { shape: [c], authorsShape: [1, c, 1, 1], init: { kind: 'constant', value }, role });
}

/** A layer under spectral norm: a convolution, or with k 0 a linear layer. */
export interface SpectralLayerSizes {
  readonly name: string;
  readonly ci: number;
  readonly co: number;
  readonly k: number;
  readonly bias?: boolean;
}

/** A weight, what it is to be divided by, and the bias. */
export interface Normalised {
  /** The weight as it is stored. */
  readonly w: Tensor;
  readonly spectrum: Spectrum;
  /** Null where the layer has none. */
  readonly b: Tensor | null;
}

const unit = { kind: 'unit', value: 1 } as const;

/** The stored weight of a layer under spectral norm, its bias, and its vectors. */
function spectralTensors(p: Scope, { name, ci, co, k, bias }: SpectralLayerSizes) {
  const declared: Declaration = k === 0 ? { shape: [co, ci], init: uniformInit(ci) } : convWeight(ci, co, k);
  const w = p.tensor(`${name}.weight_orig`, declared);
  const b = bias ? p.tensor(`${name}.bias`, { shape: [co], init: uniformInit(ci * k * k) }) : null;
  const u = p.tensor(`${name}.weight_u`, { shape: [co], init: unit, role: 'u' });
  const vector: Declaration =
    k === 0
      ? { shape: [ci], init: unit, role: 'v' }
      : { shape: [k, k, ci], authorsShape: [ci * k * k], layout: 'convVector', init: unit, role: 'v' };
  const v = p.tensor(`${name}.weight_v`, vector);
  return { w, b, u, v: reshape(v, [elements(v.shape)]) };
}

/** Spectra of these layers, by name, where one launch can serve many. */
export function normalisedLayers(
  p: Scope,
  sizes: readonly SpectralLayerSizes[],
  updates: Updates,
): (name: string) => Normalised {
  const layers = sizes.map((size) => spectralTensors(p, size));
  const found = spectra(layers, updates);
  const byName = new Map(
    sizes.map(({ name }, i) => [name, { w: layers[i].w, b: layers[i].b, spectrum: found[i] }]),
  );
  return (name) => byName.get(name)!;
}
