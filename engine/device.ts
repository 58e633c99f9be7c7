import { DeviceError, KernelError } from './errors.ts';
import {
  type BindingKind,
  bindingsOf,
  fullText,
  type KernelSpec,
  kernelKey,
  numbered,
  specialise,
} from './kernel.ts';
import { type MemoryReport, Pool } from './memory.ts';
import { type SharedText, sharedConstants, shareText } from './shared.ts';
import { type Pending, untilDone } from './waiting.ts';

/** A compiled kernel and the layout its bind groups follow. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Numbers each launch passes in a uniform block; empty where they are in the text. */
  readonly fields: SharedText['fields'];
}

/** What is chosen per op where several kernels compute the same thing: `{ conv2d: 'naive' }`. */
export type Variants = Record<string, string>;

/** An open device: everything the engine does goes through one of these. */
export interface Device {
  readonly gpu: GPUDevice;
  readonly name: string;
  readonly info: GPUAdapterInfo;
  /** Lanes of a subgroup where the adapter has the feature and a fixed size, else 0. */
  readonly subgroupSize: number;
  /** A processor that emulates a GPU (lavapipe, SwiftShader): other kernels win there. */
  readonly isCpu: boolean;
  /** Kernels read their sizes from a uniform block, so that each compiles once for all layers. */
  sharedKernels: boolean;
  readonly pool: Pool;
  /** Largest bytes one binding may cover; tests lower it to exercise the splitting of big layers. */
  maxBinding: number;
  /** Forced kernel variants, by op (tests and the benchmark's naive twins). */
  variants: Variants;
  readonly pipelines: Map<string, Promise<Pipeline>>;
  /** Work submitted since the host last waited for the GPU. */
  readonly pending: Pending;
  /** First error the GPU reported outside an error scope, or the loss of the device. */
  failure: Error | null;
}

/** Bytes held by this device's engine: live, pooled, peak. */
export function memory(device: Device): MemoryReport {
  return device.pool.memory();
}

const WANTED_FEATURES: GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query'];
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'minStorageBufferOffsetAlignment',
  'maxTextureDimension2D',
  'maxTextureArrayLayers',
] as const;

export interface OpenOptions {
  /** `true`: no optional feature and only the default limits, to test that nothing depends on more. */
  readonly minimal?: boolean;
}

/**
 * Opens a device with the features and limits the adapter has.
 * @throws DeviceError when the adapter refuses.
 */
export async function openOn(adapter: GPUAdapter, options: OpenOptions = {}): Promise<Device> {
  const features = options.minimal ? [] : WANTED_FEATURES.filter((f) => adapter.features.has(f));
  const limits: Record<string, number> = {};
  if (!options.minimal) for (const name of WANTED_LIMITS) limits[name] = adapter.limits[name];
  const gpu = await adapter.requestDevice({ requiredFeatures: features, requiredLimits: limits });
  const info = adapter.info;
  const name = info.description || [info.vendor, info.architecture].filter(Boolean).join(' ');
  const size = info.subgroupMinSize === info.subgroupMaxSize ? info.subgroupMaxSize : 0;
  const isCpu = /llvmpipe|lavapipe|swiftshader/i.test(
    `${info.description} ${info.device} ${info.architecture}`,
  );
  const device: Device = {
    gpu,
    info,
    name,
    isCpu,
    sharedKernels: isCpu,
    subgroupSize: gpu.features.has('subgroups') ? (size ?? 0) : 0,
    pool: new Pool(gpu),
    maxBinding: gpu.limits.maxStorageBufferBindingSize,
    variants: {},
    pipelines: new Map(),
    pending: { since: 0, costs: [] },
    failure: null,
  };
  gpu.addEventListener('uncapturederror', (event) => {
    device.failure ??= new DeviceError(`the GPU reported: ${event.error.message}`);
  });
  gpu.lost.then((loss) => {
    if (loss.reason !== 'destroyed') {
      device.failure ??= new DeviceError(`the GPU device was lost (${loss.message || loss.reason})`);
    }
  });
  return device;
}

/** Throws the failure the device has met, if any. Called after every run and read-back. */
export function checkDevice(device: Device): void {
  if (device.failure) throw device.failure;
}

function layoutEntry(kind: BindingKind, binding: number): GPUBindGroupLayoutEntry {
  const visibility = GPUShaderStage.COMPUTE;
  if (kind === 'readTexture' || kind === 'writeTexture') {
    const access = kind === 'readTexture' ? 'read-only' : 'write-only';
    return {
      binding,
      visibility,
      storageTexture: { access, format: 'rgba32float', viewDimension: '2d-array' },
    };
  }
  const type = kind === 'uniform' ? 'uniform' : kind === 'write' ? 'storage' : 'read-only-storage';
  return { binding, visibility, buffer: { type } };
}

async function compile(device: Device, spec: KernelSpec): Promise<Pipeline> {
  const kinds = bindingsOf(spec);
  const text = specialise(spec);
  const { code, fields } = device.sharedKernels
    ? shareText(text, spec.constants, kinds.length)
    : { code: text, fields: [] };
  if (fields.length > 0) kinds.push('uniform');
  const label = kernelKey(spec);
  const layout = device.gpu.createBindGroupLayout({ label, entries: kinds.map(layoutEntry) });
  device.gpu.pushErrorScope('validation');
  const module = device.gpu.createShaderModule({ code, label });
  const pending = device.gpu.createComputePipelineAsync({
    label,
    layout: device.gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: spec.entry },
  });
  const error = await device.gpu.popErrorScope();
  const pipeline = await pending.catch((reason: unknown) => {
    const text = error?.message ?? (reason instanceof Error ? reason.message : String(reason));
    throw new KernelError(`${label} does not compile: ${text}\n${numbered(code)}`);
  });
  return { pipeline, layout, fields };
}

/**
 * The compiled pipeline of a kernel; compiled once per device and set of constants.
 * @throws KernelError with the numbered source when the WGSL is refused.
 */
export function pipelineFor(device: Device, spec: KernelSpec): Promise<Pipeline> {
  const key = device.sharedKernels
    ? kernelKey({ ...spec, constants: sharedConstants(fullText(spec), spec.constants) })
    : kernelKey(spec);
  let pending = device.pipelines.get(key);
  if (!pending) {
    pending = compile(device, spec);
    device.pipelines.set(key, pending);
  }
  return pending;
}

/** Waits until the GPU has finished what was submitted. */
export async function finish(device: Device): Promise<void> {
  await untilDone(device.pending, () => device.gpu.queue.onSubmittedWorkDone());
  checkDevice(device);
}

/** Drains the queue and destroys the device; buffers of this device are gone afterwards. */
export async function closeDevice(device: Device): Promise<void> {
  await device.gpu.queue.onSubmittedWorkDone().catch(() => {});
  device.pool.trim();
  device.gpu.destroy();
}
