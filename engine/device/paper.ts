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

/**
 * What recording asks of an adapter, for `blankDevice`; WebGPU's default limits where nothing else is said.
 */
export interface PaperAdapter {
  readonly name: string;
  readonly limits: Partial<Record<keyof GPUSupportedLimits, number>>;
  readonly features: readonly string[];
  readonly subgroupSize: number;
}

const DEFAULT_LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeWorkgroupStorageSize: 16384,
  maxTextureDimension2D: 8192,
  maxTextureArrayLayers: 256,
};

/** A device without any adapter, with memory on paper: launches can be recorded on it, and nothing runs. */
export function blankDevice(adapter: Partial<PaperAdapter> = {}): Device {
  const { name = 'paper', features = [], subgroupSize = 0 } = adapter;
  const limits = { ...DEFAULT_LIMITS, ...adapter.limits };
  const gpu = paperGpu({ limits, features: new Set(features) } as unknown as GPUDevice);
  return {
    gpu,
    info: { description: name } as GPUAdapterInfo,
    name,
    isCpu: false,
    sharedKernels: false,
    subgroupSize,
    pool: new Pool(gpu),
    maxBinding: limits.maxStorageBufferBindingSize,
    variants: {},
    tensorCores: false,
    precision: 'full',
    tuning: { best: new Map(), noted: null },
    pipelines: new Map(),
    dump: null,
    failure: null,
  };
}
