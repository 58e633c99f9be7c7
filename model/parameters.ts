import {
  ALIGNMENT,
  type Device,
  elements,
  type FlatBuffer,
  flatBuffer,
  read,
  type Shape,
  type Tensor,
  upload,
  windowOf,
} from '../engine/index.ts';
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

/** Bytes of a tensor that are read back at a time, about. */
const PIECE_BYTES = 16 * 2 ** 20;

/** Elements of one row and how many rows to read at a time, so that each piece starts where a window may. */
function piecesOf({ shape, layout }: ParameterSpec): { row: number; rows: number } {
  const all = elements(shape);
  // Elements change places within a row: spectral norm's v is one, and a plain tensor needs none.
  const first = { plain: all, convVector: 1, conv: shape[0], mapLinear: shape[0] }[layout];
  const row = all / first;
  const step = [1, 2, 4, 8, 16, 32, 64].find((rows) => (rows * row * 4) % ALIGNMENT === 0)!;
  return { row, rows: Math.min(first, Math.max(1, Math.floor(PIECE_BYTES / (step * row * 4))) * step) };
}

/**
 * Reads one tensor in the authors' order, in pieces that follow each other: a gigabyte of weights needs a few
 * megabytes here. Rows of the first dimension have the same order here and there, so each piece can be
 * reordered alone.
 */
export async function* readTensor(
  device: Device,
  group: ParameterGroup,
  spec: ParameterSpec,
): AsyncIterable<Float32Array> {
  const { row, rows } = piecesOf(spec);
  for (const block of group.tensors.get(spec.name) ?? []) {
    const count = elements(block.shape);
    for (let at = 0; at < count; at += rows * row) {
      const length = Math.min(rows * row, count - at);
      const values = await read(device, windowOf(block, at, [length]));
      const part = spec.layout === 'convVector' ? spec.shape : [length / row, ...spec.shape.slice(1)];
      yield toAuthors({ ...spec, shape: part }, values);
    }
  }
}

/** Values of one tensor in the authors' order. */
export async function getTensor(
  device: Device,
  group: ParameterGroup,
  spec: ParameterSpec,
): Promise<Float32Array> {
  const values = new Float32Array(elements(spec.shape));
  let at = 0;
  for await (const piece of readTensor(device, group, spec)) {
    values.set(piece, at);
    at += piece.length;
  }
  return values;
}
