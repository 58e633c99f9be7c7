import type { Device } from '../engine/device/device.ts';
import { elements, type Shape } from '../engine/record/shape.ts';
import { ALIGNMENT, type FlatBuffer, flatBuffer, type Tensor } from '../engine/record/tensor.ts';
import { read, upload } from '../engine/run/transfer.ts';
import { fromAuthors, toAuthors } from './layout.ts';
import type { ParameterSpec } from './spec.ts';

/** Tensors of one or more networks in flat buffers, each of which one binding can cover. */
export interface ParameterGroup {
  readonly specs: readonly ParameterSpec[];
  readonly shards: readonly FlatBuffer[];
  /** Blocks of every tensor, by name. */
  readonly tensors: ReadonlyMap<string, readonly Tensor[]>;
  /** Floats at the start of the first shard that hold nothing but rhos (and zeros between them). */
  readonly rhoCount: number;
}

const padded = (shape: Shape) => Math.ceil((elements(shape) * 4) / ALIGNMENT) * ALIGNMENT;

interface Block {
  readonly spec: ParameterSpec;
  readonly shape: Shape;
}

function blocksOf(spec: ParameterSpec): Block[] {
  if (!spec.blocks) return [{ spec, shape: spec.shape }];
  return spec.blocks.map((rows) => ({ spec, shape: [rows, ...spec.shape.slice(1)] }));
}

/** Fills shards in order: rhos first, so that one launch clips them all. */
function shardsOf(specs: readonly ParameterSpec[], limit: number): Block[][] {
  const ordered = [...specs.filter((s) => s.role === 'rho'), ...specs.filter((s) => s.role !== 'rho')];
  const shards: Block[][] = [[]];
  let bytes = 0;
  for (const block of ordered.flatMap(blocksOf)) {
    const size = padded(block.shape);
    if (bytes > 0 && bytes + size > limit) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(block);
    bytes += size;
  }
  return shards;
}

/** Allocates the tensors of `specs`, zeroed. */
export function allocateGroup(
  device: Device,
  specs: readonly ParameterSpec[],
  label: string,
): ParameterGroup {
  const tensors = new Map<string, Tensor[]>();
  const shards = shardsOf(specs, device.maxBinding).map((blocks, i) => {
    const parts = blocks.map(({ spec, shape }) => ({ label: spec.name, shape }));
    const flat = flatBuffer(device, parts, `${label} ${i}`);
    blocks.forEach(({ spec }, b) => {
      const list = tensors.get(spec.name);
      if (list) list.push(flat.views[b]);
      else tensors.set(spec.name, [flat.views[b]]);
    });
    return flat;
  });
  const rhos = specs.filter((s) => s.role === 'rho');
  const rhoCount = rhos.reduce((sum, s) => sum + padded(s.shape) / 4, 0);
  return { specs, shards, tensors, rhoCount };
}

/** Returns a group's memory to the pool. */
export function freeGroup(device: Device, group: ParameterGroup): void {
  for (const shard of group.shards) device.pool.release(shard.buffer);
}

/** Sets one tensor from values in the authors' order. */
export function setTensor(
  device: Device,
  group: ParameterGroup,
  spec: ParameterSpec,
  values: Float32Array,
): void {
  const ours = fromAuthors(spec, values);
  let at = 0;
  for (const block of group.tensors.get(spec.name) ?? []) {
    const count = elements(block.shape);
    upload(device, block, ours.subarray(at, at + count));
    at += count;
  }
}

/** Values of one tensor in the authors' order. */
export async function getTensor(
  device: Device,
  group: ParameterGroup,
  spec: ParameterSpec,
): Promise<Float32Array> {
  const ours = new Float32Array(elements(spec.shape));
  let at = 0;
  for (const block of group.tensors.get(spec.name) ?? []) {
    const values = await read(device, block);
    ours.set(values, at);
    at += values.length;
  }
  return toAuthors(spec, ours);
}
