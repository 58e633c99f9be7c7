import type { Device } from '../../engine/device/device.ts';

/** Objects the GPU was asked to make, by method. */
export type Made = Record<string, number>;

const METHODS = [
  'createBuffer',
  'createTexture',
  'createBindGroup',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createShaderModule',
  'createComputePipeline',
  'createComputePipelineAsync',
] as const;

/** Counts from now on what the engine has the GPU create; the result is a snapshot. */
export function countCreations(device: Device): () => Made {
  const made: Made = {};
  const gpu = device.gpu as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const method of METHODS) {
    made[method] = 0;
    const original = gpu[method].bind(device.gpu);
    Object.defineProperty(gpu, method, {
      configurable: true,
      value: (...args: unknown[]) => {
        made[method]++;
        return original(...args);
      },
    });
  }
  return () => ({ ...made });
}
