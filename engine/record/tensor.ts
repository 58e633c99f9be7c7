import type { Device } from '../device/device.ts';
import type { Extent } from '../device/pool.ts';
import { AdawnError, ShapeError } from '../errors.ts';
import { elements, type Shape, show } from './shape.ts';

/** Bytes of GPU memory a tensor owns for longer than one program. */
export interface Storage {
  readonly buffer: GPUBuffer;
  /** Byte offset, a multiple of 256. */
  readonly offset: number;
  readonly bytes: number;
  /** `Pool.leaseOf(buffer)` when this was made: once the buffer was released, it is another. */
  readonly lease: number;
}

/**
 * A float32 array on the GPU. Without `storage` it is an intermediate of the program being recorded:
 * the memory plan gives it a buffer. With `storage` it lives on: parameters, inputs, optimiser state.
 */
export interface Tensor {
  readonly id: number;
  readonly shape: Shape;
  readonly label: string;
  /** Set by `place` where a result must land in memory that lives on (gradients for Adam). */
  storage: Storage | null;
  /** Another tensor whose memory this one shows: all of it in another shape, or a window of it. */
  readonly base: Tensor | null;
  /** Bytes from the base's first element to this one's; 0 without a base. */
  readonly offset: number;
  /** The value of a scalar known while recording (loss weights), so that no launch computes it. */
  readonly constant: number | null;
  /** Set where an intermediate lives in a texture instead of a buffer: shape [layers, height, 4 width]. */
  readonly texture: Extent | null;
}

let nextId = 1;

interface TensorParts {
  readonly label?: string;
  readonly storage?: Storage | null;
  readonly base?: Tensor | null;
  readonly offset?: number;
  readonly constant?: number | null;
  readonly texture?: Extent | null;
}

/** Makes the host-side description of a tensor; allocates nothing. */
export function makeTensor(shape: Shape, parts: TensorParts = {}): Tensor {
  return {
    id: nextId++,
    shape,
    label: parts.label ?? '',
    storage: parts.storage ?? null,
    base: parts.base ?? null,
    offset: parts.offset ?? 0,
    constant: parts.constant ?? null,
    texture: parts.texture ?? null,
  };
}

/** The tensor that owns the memory: itself, or what it is a view of. */
export function rootOf(tensor: Tensor): Tensor {
  let root = tensor;
  while (root.base) root = root.base;
  return root;
}

/** Bytes from the start of the root's memory to a tensor's first element. */
export function offsetInRoot(tensor: Tensor): number {
  let bytes = 0;
  for (let t = tensor; t.base; t = t.base) bytes += t.offset;
  return bytes;
}

/** Where a tensor lies in memory that lives on; null for an intermediate. */
export function storageOf(tensor: Tensor): Storage | null {
  if (tensor.storage) return tensor.storage;
  const { storage } = rootOf(tensor);
  return storage && { ...storage, offset: storage.offset + offsetInRoot(tensor), bytes: bytesOf(tensor) };
}

/** Bytes of a tensor's values. */
export function bytesOf(tensor: Tensor): number {
  return elements(tensor.shape) * 4;
}

/** A tensor with a buffer of its own, contents undefined until uploaded. Free it with `release`. */
export function allocate(device: Device, shape: Shape, label: string): Tensor {
  const bytes = elements(shape) * 4;
  const buffer = device.pool.acquire(bytes, label);
  const storage = { buffer, offset: 0, bytes, lease: device.pool.leaseOf(buffer) };
  owned.add(storage);
  return makeTensor(shape, { label, storage });
}

/** Memory that a tensor has for itself, from `allocate`. */
const owned = new WeakSet<Storage>();

/**
 * Gives an allocated tensor's buffer back to the pool. Nothing may use the tensor any more.
 * @throws AdawnError when the tensor's memory is not its own (an intermediate, a program's output, a part of
 *   a flat buffer), or was released before
 */
export function release(device: Device, { storage, label, shape }: Tensor): void {
  const name = `release: ${label || 'a tensor'} ${show(shape)}`;
  if (!storage || !owned.has(storage)) {
    throw new AdawnError(`${name} has no memory of its own: release what it was allocated with`);
  }
  expectAlive(device, storage, name);
  device.pool.release(storage.buffer);
}

/** @throws AdawnError when the memory was released, or is another device's. */
export function expectAlive(device: Device, { buffer, lease }: Storage, what: string): void {
  const now = device.pool.leaseOf(buffer);
  if (now !== lease) throw new AdawnError(`${what} ${now ? 'was released before' : 'is of another device'}`);
}

/** Every view of a flat buffer starts at a multiple of this many bytes (WebGPU's default limit). */
export const ALIGNMENT = 256;

/** One buffer that holds many tensors, so that one launch of Adam can pass over all of them. */
export interface FlatBuffer {
  readonly buffer: GPUBuffer;
  readonly bytes: number;
  /** As in `Storage`. */
  readonly lease: number;
  readonly views: Tensor[];
}

/**
 * Lays tensors out one behind the other in one buffer, each at a 256-byte boundary; the gaps are zero.
 * @throws DeviceError when the adapter cannot hold it in one buffer.
 */
export function flatBuffer(
  device: Device,
  parts: readonly { label: string; shape: Shape }[],
  label: string,
): FlatBuffer {
  let bytes = 0;
  const offsets = parts.map(({ shape }) => {
    const offset = bytes;
    bytes += Math.ceil((elements(shape) * 4) / ALIGNMENT) * ALIGNMENT;
    return offset;
  });
  const buffer = device.pool.acquire(Math.max(bytes, ALIGNMENT), label);
  const encoder = device.gpu.createCommandEncoder();
  encoder.clearBuffer(buffer);
  device.gpu.queue.submit([encoder.finish()]);
  const lease = device.pool.leaseOf(buffer);
  const views = parts.map(({ label: name, shape }, i) =>
    makeTensor(shape, {
      label: name,
      storage: { buffer, offset: offsets[i], bytes: elements(shape) * 4, lease },
    }),
  );
  return { buffer, bytes, lease, views };
}

/** A range of a flat buffer as one vector of `count` floats. */
export function flatRange(flat: FlatBuffer, byteOffset: number, count: number, label: string): Tensor {
  const storage = { buffer: flat.buffer, offset: byteOffset, bytes: count * 4, lease: flat.lease };
  return makeTensor([count], { label, storage });
}

/** The same elements in the same order under another shape; no launch, differentiable by the autograd. */
export function viewOf(tensor: Tensor, shape: Shape): Tensor {
  if (elements(tensor.shape) !== elements(shape)) {
    throw new ShapeError(`reshape: ${show(tensor.shape)} has not as many elements as ${show(shape)}`);
  }
  return makeTensor(shape, { label: tensor.label, base: tensor });
}

/**
 * Part of a tensor's elements, from element `first` on, without a launch. A launch may read several windows
 * of one tensor, but not write one and read another.
 * @throws ShapeError when the window leaves the tensor, or does not start where a binding may (`ALIGNMENT`).
 */
export function windowOf(tensor: Tensor, first: number, shape: Shape): Tensor {
  const offset = first * 4;
  if (offset % ALIGNMENT !== 0 || offset + elements(shape) * 4 > bytesOf(tensor)) {
    throw new ShapeError(
      `window: ${show(shape)} from element ${first} on is no aligned part of ${show(tensor.shape)}`,
    );
  }
  return makeTensor(shape, { label: tensor.label, base: tensor, offset });
}
