import {
  blankDevice,
  type Device,
  type Precision,
  type Recording,
  type Tensor,
  usePrecision,
} from '../../engine/index.ts';
import { createModel } from '../../model/model.ts';
import type { CommonOptions, Recipe } from '../../model/recipe.ts';
import { traceTraining } from '../../train/session.ts';
import type { Card } from './cards.ts';

/** Limits as Dawn reports them of cards with enough memory: what recording asks for. */
const LIMITS = {
  maxBufferSize: 2 ** 32,
  maxStorageBufferBindingSize: 2 ** 31 - 4,
  maxComputeWorkgroupsPerDimension: 65535,
  maxTextureDimension2D: 16384,
  maxTextureArrayLayers: 2048,
};

/** Lanes of a subgroup, with all cards of the table; no kernel for a GPU depends on it. */
const SUBGROUP = 32;

/** What was written into buffers on paper: the tables of sizes that some kernels read. */
const contents = new WeakMap<GPUBuffer, ArrayLike<number>>();

/** Numbers of a constant tensor of this device (`integers` in engine/record/constants.ts). */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  return (tensor.storage && contents.get(tensor.storage.buffer)) ?? [];
}

/** A device of that card on paper: no adapter is needed, none of its memory taken, and nothing runs. */
export async function deviceOnPaper(card: Card, precision: Precision = 'full'): Promise<Device> {
  const paper = blankDevice({
    name: card.name,
    limits: { ...LIMITS, maxComputeWorkgroupStorageSize: card.groupSharedKib * 1024 },
    features: ['subgroups', 'shader-f16'],
    subgroupSize: SUBGROUP,
  });
  const writeBuffer = (buffer: GPUBuffer, _: number, data: ArrayLike<number>) => contents.set(buffer, data);
  Object.assign(paper.gpu.queue, { writeBuffer });
  usePrecision(paper, precision);
  return paper;
}

/** What a recorded iteration is made of, and which tensors the host writes before each. */
export interface PaperIteration extends Recording<Record<string, Tensor>> {
  readonly uploaded: readonly Tensor[];
}

/** One training iteration as a session on that device would record it. */
export function recordIteration<O extends CommonOptions>(
  paper: Device,
  recipe: Recipe<O>,
  options: O,
): PaperIteration {
  const { inputs, ...recording } = traceTraining(createModel(paper, recipe, options));
  const { real, noise, hypers } = inputs;
  const uploaded = [real.A, real.B, ...Object.values(noise), ...hypers.flat.views];
  return { ...recording, uploaded };
}
