import { integers } from '../../record/constants.ts';
import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';

/** How rows of a gathered product map to pixels; what each field means is in kernels/lib/geometry.wgsl. */
export interface Geometry {
  readonly images: number;
  readonly gridH: number;
  readonly gridW: number;
  readonly classes: number;
  readonly outStride: number;
  readonly outH: number;
  readonly outW: number;
  readonly outQuads: number;
  readonly inQuads: number;
  readonly inStride: number;
  readonly classStep: number;
  readonly tapsY: number;
  readonly tapsX: number;
  readonly whole: number;
  readonly layerStart: number;
  readonly layerClass: number;
  readonly layerTap: number;
  readonly side: number;
}

/** Parts of the sum over rows of the grid, for a weight gradient. */
export interface Parts {
  readonly splits: number;
  readonly splitRows: number;
}

/** What follows the sums: division by sigma, bias, activation. */
export interface GatherEpilogue {
  /** The weight is w / sigma, sample by sample. */
  readonly spectrum: Spectrum | null;
  readonly b: Tensor | null;
  /** 0 none, 1 LeakyReLU, 2 ReLU, 3 tanh. */
  readonly activation: number;
  readonly slope: number;
}

export const NO_EPILOGUE: GatherEpilogue = { spectrum: null, b: null, activation: 0, slope: 0 };

/** Calls of spectral norm (0: none), bias, activation and slope as kernels that read integers take them. */
export function epilogueFields({ spectrum, b, activation, slope }: GatherEpilogue): number[] {
  return [spectrum?.calls ?? 0, b ? 1 : 0, activation, new Int32Array(Float32Array.of(slope).buffer)[0]];
}

/** What a launch adds to the geometry. */
interface Extras {
  /** Row and column of the texture where the picture begins. */
  readonly offset: readonly [y: number, x: number];
  readonly epilogue: GatherEpilogue;
  readonly parts: Parts;
}

/** The geometry as the kernels read it: a small buffer per content and device. */
export function geometryBuffer(g: Geometry, extras: Partial<Extras> = {}): Tensor {
  const { offset = [0, 0], epilogue = NO_EPILOGUE, parts = { splits: 1, splitRows: 0 } } = extras;
  return integers([
    g.images,
    g.gridH,
    g.gridW,
    g.classes,
    g.outStride,
    g.outH,
    g.outW,
    g.outQuads,
    g.inQuads,
    g.inStride,
    g.classStep,
    g.tapsY,
    g.tapsX,
    g.whole,
    g.layerStart,
    g.layerClass,
    g.layerTap,
    g.side,
    ...offset,
    parts.splits,
    parts.splitRows,
    ...epilogueFields(epilogue),
  ]);
}
