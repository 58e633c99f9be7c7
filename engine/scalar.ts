import type { Device } from './device.ts';
import { recorder } from './recorder.ts';
import { makeTensor, type Tensor } from './tensor.ts';

const known = new WeakMap<Device, Map<number, Tensor>>();

/** A constant number as a tensor of shape [1]: one small buffer per value and device, no launch. */
export function scalar(value: number): Tensor {
  const { device } = recorder();
  let values = known.get(device);
  if (!values) {
    values = new Map();
    known.set(device, values);
  }
  let tensor = values.get(value);
  if (!tensor) {
    const buffer = device.pool.acquire(16, `scalar ${value}`);
    device.gpu.queue.writeBuffer(buffer, 0, new Float32Array([value, 0, 0, 0]));
    const storage = { buffer, offset: 0, bytes: 4 };
    tensor = makeTensor([1], { label: `scalar ${value}`, storage, constant: value });
    values.set(value, tensor);
  }
  return tensor;
}
