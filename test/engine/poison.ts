import type { Device } from '../../engine/device/device.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import type { Program } from '../../engine/run/program.ts';

/**
 * Lets the host write textures of this device, so that `poison` can, and makes them larger than asked for, as
 * the memory plan does when they serve several tensors. Call it before anything is made.
 */
export function allowPoison(device: Device): void {
  const { gpu } = device;
  const create = gpu.createTexture.bind(gpu);
  Object.defineProperty(gpu, 'createTexture', {
    value: (parts: GPUTextureDescriptor) => {
      const [width, height, layers] = parts.size as number[];
      const usage = parts.usage | GPUTextureUsage.COPY_DST;
      return create({ ...parts, usage, size: [width + 5, height + 5, layers + 1] });
    },
  });
}

const CHUNK = 2 ** 22;

/**
 * Fills the memory of a program's intermediates with NaN: what a kernel reads before it is written will show.
 */
export function poison({ device, memory }: Program<Record<string, Tensor>>): void {
  const { queue } = device.gpu;
  for (const slot of memory) {
    if ('size' in slot) {
      const values = new Float32Array(Math.min(CHUNK, slot.size / 4)).fill(Number.NaN);
      for (let at = 0; at < slot.size; at += values.byteLength) {
        queue.writeBuffer(slot, at, values, 0, Math.min(values.length, (slot.size - at) / 4));
      }
    } else {
      const { width, height, depthOrArrayLayers } = slot;
      const values = new Float32Array(width * height * depthOrArrayLayers * 4).fill(Number.NaN);
      const layout = { bytesPerRow: width * 16, rowsPerImage: height };
      queue.writeTexture({ texture: slot }, values, layout, [width, height, depthOrArrayLayers]);
    }
  }
}
