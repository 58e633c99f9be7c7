import { integers } from '../../scalar.ts';
import type { Tensor } from '../../tensor.ts';

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

/** Bias and activation of a forward pass. */
export interface Epilogue {
  readonly b: Tensor | null;
  /** 0 none, 1 LeakyReLU, 2 ReLU, 3 tanh. */
  readonly activation: number;
  readonly slope: number;
}

export const NO_EPILOGUE: Epilogue = { b: null, activation: 0, slope: 0 };
const ONE_PART: Parts = { splits: 1, splitRows: 0 };

/** Bias, activation and slope as kernels that read integers take them. */
export function epilogueFields({ b, activation, slope }: Epilogue): number[] {
  return [b ? 1 : 0, activation, new Int32Array(Float32Array.of(slope).buffer)[0]];
}

/**
 * The geometry as the kernels read it: a small buffer per content and device. `pitch`: of a planar picture.
 */
export function geometryBuffer(g: Geometry, pitch: number, epilogue: Epilogue, parts = ONE_PART): Tensor {
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
    pitch,
    parts.splits,
    parts.splitRows,
    ...epilogueFields(epilogue),
  ]);
}
