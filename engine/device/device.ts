import { CapacityError, DeviceError } from '../errors.ts';
import type { Tuning } from './choice.ts';
import type { SharedText } from './launchSizes.ts';
import { type MemoryReport, Pool } from './pool.ts';
import { untilDone } from './waiting.ts';

/** A compiled kernel and the layout its bind groups follow. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Numbers each launch passes in a uniform block; empty where they are in the text. */
  readonly fields: SharedText['fields'];
}

/**
 * full: everything in float32. mixed: convolutions convert their operands to 16 bits when they multiply them;
 * sums, weights, statistics, losses and everything else stay in float32.
 */
export type Precision = 'full' | 'mixed';

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
  /** 16 x 16 x 16 products of 16-bit floats by tensor cores: kernels/lib/tileMatrix.wgsl. */
  readonly tensorCores: boolean;
  /** What convolutions multiply in; set by `usePrecision`. */
  precision: Precision;
  /** Kernel variants found best on this adapter, by op and sizes. */
  readonly tuning: Tuning;
  readonly pipelines: Map<string, Promise<Pipeline>>;
  /**
   * Hears of every program before and after each of its passes, and of each kernel's final text, by a file
   * name; null where nobody wants to read them. `ADAWN_DUMP=DIR` has `openDevice` write them into a folder.
   */
  dump: ((name: string, text: string) => void) | null;
  /** First error the GPU reported outside an error scope, or the loss of the device. */
  failure: Error | null;
}

/** Bytes held by this device's engine: live, pooled, peak. */
export function memory(device: Device): MemoryReport {
  return device.pool.memory();
}

/** Not in WebGPU's types yet; Dawn offers it where its unsafe features are allowed. */
const TENSOR_CORES = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;
const WANTED_FEATURES = ['subgroups', 'shader-f16', 'timestamp-query', TENSOR_CORES] as GPUFeatureName[];
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

/** A product of matrices an adapter can do by itself, as Dawn describes it. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Bytes of workgroup memory that kernels/lib/tileMatrix.wgsl takes at most. */
const TENSOR_CORE_TILES = 25600;

/** Whether a device that was opened on this adapter can use its tensor cores as our kernels want to. */
export function hasTensorCores(gpu: Pick<GPUDevice, 'features' | 'limits'>, info: GPUAdapterInfo): boolean {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  const fits = (c: MatrixConfig) =>
    c.componentType === 'f16' && c.resultComponentType === 'f32' && c.M === 16 && c.N === 16 && c.K === 16;
  return (
    [TENSOR_CORES, 'subgroups', 'shader-f16'].every((feature) => gpu.features.has(feature)) &&
    info.subgroupMinSize === 32 &&
    info.subgroupMaxSize === 32 &&
    gpu.limits.maxComputeWorkgroupStorageSize >= TENSOR_CORE_TILES &&
    [...subgroupMatrixConfigs].some(fits)
  );
}

/** Devices that are being closed on purpose. */
const closing = new WeakSet<Device>();

const oneLine = ({ message, reason }: GPUDeviceLostInfo) =>
  message.replace(/\s+/g, ' ').replace(/\.? *$/, '') || reason;

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
    tensorCores: hasTensorCores(gpu, info),
    precision: 'full',
    tuning: { best: new Map(), noted: null },
    pipelines: new Map(),
    dump: null,
    failure: null,
  };
  gpu.addEventListener('uncapturederror', (event) => {
    device.failure ??= new DeviceError(`the GPU reported: ${event.error.message}`);
  });
  gpu.lost.then((loss) => {
    if (!closing.has(device)) device.failure = new DeviceError(`the GPU device was lost (${oneLine(loss)})`);
  });
  return device;
}

/** Throws the failure the device has met, if any. Called after every run and read-back. */
export function checkDevice(device: Device): void {
  if (device.failure) throw device.failure;
}

/** Runs `work` and returns the first error of each of these kinds that it made the GPU report. */
async function scopedEach<T>(
  device: Device,
  filters: readonly GPUErrorFilter[],
  work: () => T,
): Promise<{ result: T; errors: (GPUError | null)[] }> {
  for (const filter of filters) device.gpu.pushErrorScope(filter);
  let result: T;
  let popped: Promise<(GPUError | null)[]> | undefined;
  try {
    result = work();
  } finally {
    // The last one pushed is the first one popped. Refused when the device is lost.
    const each = filters.map(() => device.gpu.popErrorScope().catch(() => null));
    popped = Promise.all(each.reverse());
  }
  const errors = await untilDone(device, popped);
  checkDevice(device);
  return { result, errors };
}

/** Runs `work` and returns the first error of this kind that it made the GPU report. */
export async function scoped<T>(
  device: Device,
  filter: GPUErrorFilter,
  work: () => T,
): Promise<{ result: T; error: GPUError | null }> {
  const { result, errors } = await scopedEach(device, [filter], work);
  return { result, error: errors[0] };
}

/**
 * Runs `allocate`. What it gave is freed again when the GPU refuses the memory.
 * @throws CapacityError when it does.
 */
export async function withinMemory<T>(
  device: Device,
  allocate: () => T,
  free: (allocated: T) => void,
): Promise<T> {
  const before = device.pool.memory().live;
  // Who uses a buffer that was refused, to clear it say, makes an invalid command of it: no news then.
  const { result, errors } = await scopedEach(device, ['out-of-memory', 'validation'], allocate);
  const [refused, invalid] = errors;
  if (!refused && !invalid) return result;
  const mib = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  const wanted = mib(device.pool.memory().live - before);
  free(result);
  device.pool.trim(); // what was refused is of no use to anyone
  if (!refused) throw new DeviceError(`the GPU reported: ${invalid!.message}`);
  throw new CapacityError(`the GPU is out of memory (${mib(before)} MiB in use, ${wanted} MiB more needed)`);
}

/** Waits until the GPU has finished what was submitted. */
export async function finish(device: Device): Promise<void> {
  await untilDone(device, device.gpu.queue.onSubmittedWorkDone());
  checkDevice(device);
}

/** Drains the queue and destroys the device; buffers of this device are gone afterwards. */
export async function closeDevice(device: Device): Promise<void> {
  closing.add(device);
  await untilDone(
    device,
    device.gpu.queue.onSubmittedWorkDone().catch(() => {}),
  );
  device.pool.trim();
  device.gpu.destroy();
}
