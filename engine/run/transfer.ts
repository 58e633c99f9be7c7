import { checkDevice, type Device } from '../device/device.ts';
import { untilDone, usualNap } from '../device/waiting.ts';
import { AdawnError, DeviceError } from '../errors.ts';
import { elements, type Shape, show } from '../record/shape.ts';
import { allocate, expectAlive, storageOf, type Tensor } from '../record/tensor.ts';
import { dispose, record, run } from './program.ts';

/** Bytes moved by one staging buffer. */
const CHUNK = 64 * 2 ** 20;

/** How long the news that the device is lost may take after the first failure it causes. */
const LOSS_MS = 200;

function storage(device: Device, tensor: Tensor, what: string) {
  const found = storageOf(tensor);
  const name = `${what}: ${tensor.label || 'a tensor'} ${show(tensor.shape)}`;
  if (!found) throw new AdawnError(`${name} is an intermediate: have record() give it out`);
  expectAlive(device, found, name);
  return found;
}

/** Writes host values into a tensor. @throws AdawnError when the count does not match or it was released. */
export function upload(device: Device, tensor: Tensor, values: Float32Array): void {
  if (values.length !== elements(tensor.shape)) {
    throw new AdawnError(
      `upload: ${tensor.label || 'tensor'} ${show(tensor.shape)} takes ${elements(tensor.shape)} values, ` +
        `got ${values.length}`,
    );
  }
  const { buffer, offset } = storage(device, tensor, 'upload');
  const source = values as Float32Array<ArrayBuffer>;
  const step = CHUNK / 4;
  for (let from = 0; from < values.length; from += step) {
    const count = Math.min(step, values.length - from);
    device.gpu.queue.writeBuffer(buffer, offset + from * 4, source, from, count);
  }
}

/** A new tensor of its own buffer with these values. */
export function tensorFrom(device: Device, values: Float32Array, shape: Shape, label = 'input'): Tensor {
  const tensor = allocate(device, shape, label);
  upload(device, tensor, values);
  return tensor;
}

/** A part of a buffer. */
export interface Piece {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Values on their way to the host. */
export interface Reading {
  readonly staging: GPUBuffer;
  readonly bytes: number;
}

/**
 * Submits a copy of these pieces, one behind the other, as they are at this point of the queue: what is
 * submitted later does not change it. `finishRead` waits for it; `cancelRead` where nobody wants it any more.
 */
export function beginRead(device: Device, pieces: readonly Piece[]): Reading {
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  const staging = device.pool.acquireStaging(bytes);
  const encoder = device.gpu.createCommandEncoder();
  let at = 0;
  for (const piece of pieces) {
    encoder.copyBufferToBuffer(piece.buffer, piece.offset, staging, at, piece.bytes);
    at += piece.bytes;
  }
  device.gpu.queue.submit([encoder.finish()]);
  return { staging, bytes };
}

/**
 * Waits for the copy, and for nothing that was submitted after it; gives its values to `into`.
 * @param leastNap milliseconds between two looks at least, where there is no hurry
 */
export async function finishRead(
  device: Device,
  { staging, bytes }: Reading,
  into: Float32Array,
  leastNap = 0,
): Promise<void> {
  try {
    // Asked for only now: while one of Dawn's promises is pending, it keeps a core busy (see waiting.ts).
    const nap = Math.max(usualNap(device), leastNap);
    await untilDone(device, staging.mapAsync(GPUMapMode.READ, 0, bytes), nap);
  } catch (cause) {
    device.pool.destroy(staging);
    await Promise.race([device.gpu.lost, new Promise((wake) => setTimeout(wake, LOSS_MS))]);
    checkDevice(device);
    throw new DeviceError('reading back from the GPU failed', { cause });
  }
  into.set(new Float32Array(staging.getMappedRange(0, bytes)));
  staging.unmap();
  device.pool.release(staging);
}

/** Gives up a copy that was begun. */
export function cancelRead(device: Device, { staging }: Reading): void {
  device.pool.release(staging);
}

/**
 * Values of a tensor that has storage (parameter, input, program output), in its own order.
 * @throws AdawnError for an intermediate of a program, or when the tensor was released
 */
export async function read(device: Device, tensor: Tensor): Promise<Float32Array> {
  const { buffer, offset } = storage(device, tensor, 'read');
  const values = new Float32Array(elements(tensor.shape));
  for (let from = 0; from < values.length; from += CHUNK / 4) {
    const part = values.subarray(from, Math.min(values.length, from + CHUNK / 4));
    const piece = { buffer, offset: offset + from * 4, bytes: part.byteLength };
    await finishRead(device, beginRead(device, [piece]), part);
  }
  checkDevice(device);
  return values;
}

/** Values of some elements of such a tensor, by their places in its own order. */
export async function readElements(
  device: Device,
  tensor: Tensor,
  places: readonly number[],
): Promise<Float32Array> {
  const { buffer, offset } = storage(device, tensor, 'read');
  const values = new Float32Array(places.length);
  const pieces = places.map((place) => ({ buffer, offset: offset + place * 4, bytes: 4 }));
  await finishRead(device, beginRead(device, pieces), values);
  checkDevice(device);
  return values;
}

/** Eager execution: a program recorded, run once, read back and disposed of. */
export async function evaluate<Out extends Record<string, Tensor>>(
  device: Device,
  build: () => Out,
): Promise<Record<keyof Out, Float32Array>> {
  const program = await record(device, build);
  try {
    run(program);
    const result: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(program.outputs)) {
      result[name] = await read(device, tensor);
    }
    return result as Record<keyof Out, Float32Array>;
  } finally {
    dispose(program);
  }
}
