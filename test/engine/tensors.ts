import type { Device } from '../../engine/device/device.ts';
import { release, type Tensor } from '../../engine/record/tensor.ts';
import { trace } from '../../engine/run/program.ts';
import { tensorFrom } from '../../engine/run/transfer.ts';

/** Short words for tests that make tensors on the device of `useDevice`, which is there once they run. */
export function tensorsOn(gpu: { readonly device: Device }) {
  const put = (shape: number[], data: Iterable<number>, label = 'x') =>
    tensorFrom(gpu.device, Float32Array.from(data), shape, label);
  const ones = (count: number, label: string) => put([count], Array(count).fill(1), label);
  const free = (...tensors: Tensor[]) => {
    for (const tensor of tensors) release(gpu.device, tensor);
  };
  /** Records without running. */
  const recordOnly = (build: () => void): void => {
    trace(gpu.device, () => {
      build();
      return {};
    });
  };
  return { put, ones, free, recordOnly };
}
