import type { Device } from './device.ts';
import { Pool } from './pool.ts';

/** Buffers and textures without memory, for `paperDevice`; what is not here, recording does not use. */
function paperGpu(gpu: GPUDevice): GPUDevice {
  const nothing = () => {};
  const buffer = ({ size, usage }: GPUBufferDescriptor) => ({ size, usage, label: '', destroy: nothing });
  const texture = ({ size }: GPUTextureDescriptor) => {
    const [width, height, depthOrArrayLayers] = size as number[];
    return { width, height, depthOrArrayLayers, label: '', destroy: nothing };
  };
  const stub = {
    limits: gpu.limits,
    features: gpu.features,
    createBuffer: buffer,
    createTexture: texture,
    createCommandEncoder: () => ({ clearBuffer: nothing, finish: nothing }),
    queue: { writeBuffer: nothing, submit: nothing },
  };
  return stub as unknown as GPUDevice;
}

/**
 * The same adapter with memory on paper only: models can be allocated on it and steps traced (`trace`), with
 * the kernels this adapter would use and every byte counted in `memory(device)`, but nothing runs.
 */
export function paperDevice(device: Device): Device {
  const gpu = paperGpu(device.gpu);
  return {
    ...device,
    gpu,
    pool: new Pool(gpu),
    variants: { ...device.variants },
    tuning: { best: device.tuning.best, noted: null },
    pipelines: new Map(),
    dump: null,
  };
}
