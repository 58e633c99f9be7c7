import type { Device } from '../device/device.ts';
import { recorder } from './recorder.ts';
import { makeTensor, type Storage, type Tensor } from './tensor.ts';

/** Constants of a device by content. They live as long as it does. */
const known = new WeakMap<Device, Map<string, Tensor>>();

const kept = (device: Device, buffer: GPUBuffer, bytes: number): Storage => ({
  buffer,
  offset: 0,
  bytes,
  lease: device.pool.leaseOf(buffer),
});

function constant(key: string, make: (device: Device) => Tensor): Tensor {
  const { device } = recorder();
  let tensors = known.get(device);
  if (!tensors) known.set(device, (tensors = new Map()));
  let tensor = tensors.get(key);
  if (!tensor) tensors.set(key, (tensor = make(device)));
  return tensor;
}

/** A constant number as a tensor of shape [1]: one small buffer per value and device, no launch. */
export function scalar(value: number): Tensor {
  return constant(`scalar ${Object.is(value, -0) ? '-0' : value}`, (device) => {
    const label = `scalar ${value}`;
    const buffer = device.pool.acquire(16, label);
    device.gpu.queue.writeBuffer(buffer, 0, new Float32Array([value, 0, 0, 0]));
    return makeTensor([1], { label, storage: kept(device, buffer, 4), constant: value });
  });
}

type Numbers = Float32ArrayConstructor | Int32ArrayConstructor;

function list(label: string, type: Numbers, values: readonly number[]): Tensor {
  return constant(`${label} ${values.join(' ')}`, (device) => {
    const bytes = values.length * 4;
    const buffer = device.pool.acquire(bytes, label);
    device.gpu.queue.writeBuffer(buffer, 0, type.from(values));
    return makeTensor([values.length], { label, storage: kept(device, buffer, bytes) });
  });
}

/** Constant floats a kernel reads: one small buffer per content and device, no launch. */
export function floats(values: readonly number[]): Tensor {
  return list('floats', Float32Array, values);
}

/**
 * Integers a kernel reads (`var<storage, read> sizes: array<i32>` or a struct of u32), so that one compiled
 * kernel serves every layer: one small buffer per content and device, no launch.
 */
export function integers(values: readonly number[]): Tensor {
  return list('integers', Int32Array, values);
}

/** At least so many zeros, to copy from: one buffer per power of two and device, no launch. */
export function zeroSource(count: number): Tensor {
  const size = 2 ** Math.ceil(Math.log2(count));
  return constant(`zeros ${size}`, (device) => {
    const buffer = device.pool.acquire(size * 4, 'zeros');
    device.gpu.queue.writeBuffer(buffer, 0, new Float32Array(size));
    return makeTensor([size], { label: 'zeros', storage: kept(device, buffer, size * 4) });
  });
}
