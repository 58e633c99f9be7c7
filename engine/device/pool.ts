import { AdawnError, CapacityError } from '../errors.ts';

const MIB = 2 ** 20;

// WebGPU's numbers for what a buffer or texture is used for; its own names exist only where an adapter can be
// had, and recording on paper needs none.
const [MAP_READ, COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [0x1, 0x4, 0x8, 0x40, 0x80];
const [TEXTURE_COPY_DST, TEXTURE_STORAGE] = [0x2, 0x8];

/** Size of an rgba32float texture array, in texels of four floats. */
export interface Extent {
  readonly width: number;
  readonly height: number;
  readonly layers: number;
}

/** Bytes of GPU memory held through this engine. */
export interface MemoryReport {
  /** Bytes of buffers and textures in use. */
  live: number;
  /** Bytes of buffers and textures kept for reuse. */
  pooled: number;
  /** Largest live + pooled so far. */
  peak: number;
  /** Buffers and textures created since the device was opened (a replayed step creates none). */
  created: number;
}

type Held = GPUBuffer | GPUTexture;

/** Smallest staging buffer; their sizes are powers of two, so that a few serve reads of any length. */
const LEAST_STAGING = 4096;

/** What a later `acquire` must ask for to get this one, and its bytes. */
function kindOf(held: Held): { key: string; bytes: number } {
  if ('size' in held) return { key: bufferKey(held.size, held.usage), bytes: held.size };
  const { width, height, depthOrArrayLayers: layers } = held;
  return { key: `${width}x${height}x${layers}`, bytes: width * height * layers * 16 };
}

const bufferKey = (size: number, usage: number) => `${size} ${usage}`;

/** Pool of buffers and rgba32float textures of one device: all of the engine's come from here. */
export class Pool {
  private readonly free = new Map<string, Held[]>();
  /** Of every buffer or texture: how often it was handed out or taken back; odd while somebody has it. */
  private readonly leases = new WeakMap<Held, number>();
  private readonly report: MemoryReport = { live: 0, pooled: 0, peak: 0, created: 0 };

  constructor(private readonly gpu: GPUDevice) {}

  memory(): MemoryReport {
    return { ...this.report };
  }

  /**
   * A storage buffer of `bytes` (rounded up to 16). Its contents are whatever its last user left:
   * callers write before they read.
   * @throws CapacityError when the adapter cannot hold a buffer of that size.
   */
  acquire(bytes: number, label: string): GPUBuffer {
    const size = Math.ceil(Math.max(bytes, 16) / 16) * 16;
    const limit = this.gpu.limits.maxBufferSize;
    if (size > limit) {
      throw new CapacityError(
        `${label} needs one buffer of ${(size / MIB).toFixed(0)} MiB, this adapter allows ` +
          `${(limit / MIB).toFixed(0)} MiB`,
      );
    }
    return this.buffer(size, STORAGE | COPY_SRC | COPY_DST, label);
  }

  /** A buffer of at least `bytes` to copy results into and map; unmapped when it is released. */
  acquireStaging(bytes: number): GPUBuffer {
    const size = Math.max(LEAST_STAGING, 2 ** Math.ceil(Math.log2(bytes)));
    return this.buffer(size, MAP_READ | COPY_DST, 'staging');
  }

  /** A uniform buffer of exactly `bytes`. */
  acquireUniform(bytes: number, label: string): GPUBuffer {
    return this.buffer(bytes, UNIFORM | COPY_DST, label);
  }

  private buffer(size: number, usage: number, label: string): GPUBuffer {
    const make = () => this.gpu.createBuffer({ size, usage });
    return this.take(bufferKey(size, usage), size, label, make) as GPUBuffer;
  }

  /** A storage texture of exactly this extent, contents undefined. */
  acquireTexture({ width, height, layers }: Extent, label: string): GPUTexture {
    const make = () =>
      this.gpu.createTexture({
        size: [width, height, layers],
        format: 'rgba32float',
        usage: TEXTURE_STORAGE | TEXTURE_COPY_DST,
      });
    const bytes = width * height * layers * 16;
    return this.take(`${width}x${height}x${layers}`, bytes, label, make) as GPUTexture;
  }

  private take(key: string, bytes: number, label: string, make: () => Held): Held {
    const kept = this.free.get(key)?.pop();
    const held = kept ?? make();
    held.label = label;
    this.leases.set(held, this.leaseOf(held) + 1);
    this.report.live += bytes;
    if (kept) this.report.pooled -= bytes;
    else this.report.created++;
    this.report.peak = Math.max(this.report.peak, this.report.live + this.report.pooled);
    return held;
  }

  /** A number that changes whenever a buffer or texture is handed out or taken back. */
  leaseOf(held: Held): number {
    return this.leases.get(held) ?? 0;
  }

  /**
   * Gives a buffer or texture back for reuse by a later request for the same size.
   * @throws AdawnError when it was given back already: its next two users would share it
   */
  release(held: Held): void {
    if (this.leaseOf(held) % 2 === 0) throw new AdawnError(`${held.label || 'a buffer'} was released before`);
    this.leases.set(held, this.leaseOf(held) + 1);
    const { key, bytes } = kindOf(held);
    this.report.live -= bytes;
    this.report.pooled += bytes;
    const list = this.free.get(key);
    if (list) list.push(held);
    else this.free.set(key, [held]);
  }

  /** Destroys a buffer or texture that somebody has, instead of keeping it for reuse. */
  destroy(held: Held): void {
    this.release(held);
    const { key, bytes } = kindOf(held);
    this.free.get(key)!.pop();
    this.report.pooled -= bytes;
    held.destroy();
  }

  /** Destroys what is pooled. */
  trim(): void {
    for (const list of this.free.values()) for (const held of list) held.destroy();
    this.free.clear();
    this.report.pooled = 0;
  }
}
