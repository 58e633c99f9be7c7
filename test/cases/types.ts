import type { Tensor } from '../../engine/record/tensor.ts';

/** Values of one input or output on the host, in float64. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type HostArrays = Record<string, HostArray>;

/** One configuration of one op: how the engine computes it and how float64 does. */
export interface OpCase {
  /** The op's name in every room. */
  readonly op: string;
  /** What is special about this case. */
  readonly name: string;
  readonly inputs: HostArrays;
  /** The engine's computation on tensors of these names. */
  readonly run: (t: Record<string, Tensor>) => Tensor[];
  /** The same in float64, written from the definition and nothing else. */
  readonly reference: (v: HostArrays) => HostArray[];
  /** Inputs to differentiate. */
  readonly grad: readonly string[];
  /** Kernel variants of the op to run besides the default. */
  readonly variants?: readonly string[];
  /** Allowed ‖out − ref‖ / ‖ref‖ of an output. Default: `TOLERANCE`. */
  readonly tolerance?: number;
  /**
   * Allowed |g − ref| of an element of a gradient, relative to the larger of the element and the gradient's
   * root mean square; and ‖g − naive‖ / ‖naive‖ of a whole one. Default: `GRAD_TOLERANCE`.
   */
  readonly gradTolerance?: number;
}

export const TOLERANCE = 2e-6;
/** Finite differences of a float64 reference are good to about 1e-6 themselves. */
export const GRAD_TOLERANCE = 2e-5;

/** Small seeded generator for test values (mulberry32): uniform in [0, 1). */
export function uniform(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** About normally distributed values that float32 holds exactly, so that both sides start alike. */
export function values(shape: readonly number[], seed: number, scale = 1, shift = 0): HostArray {
  const next = uniform(seed);
  const data = Float64Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () =>
    Math.fround(((next() + next() + next() + next() - 2) * 1.7 + shift / scale) * scale),
  );
  return { shape, data };
}

/** An array of zeros to fill in a reference. */
export function zerosLike(shape: readonly number[]): HostArray {
  return { shape, data: new Float64Array(shape.reduce((p, d) => p * d, 1)) };
}
