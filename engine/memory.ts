import { DeviceError } from './errors.ts';

const MIB = 2 ** 20;

/** Bytes of GPU memory held through this engine. */
export interface MemoryReport {
  /** Bytes of buffers in use. */
  live: number;
  /** Bytes of buffers kept for reuse. */
  pooled: number;
  /** Largest live + pooled so far. */
  peak: number;
  /** Buffers created since the device was opened (a replayed step creates none). */
  created: number;
}

/** Pool of storage buffers of one device: every buffer of the engine comes from here and returns here. */
export class BufferPool {
  private readonly free = new Map<number, GPUBuffer[]>();
  private readonly report: MemoryReport = { live: 0, pooled: 0, peak: 0, created: 0 };

  constructor(private readonly gpu: GPUDevice) {}

  memory(): MemoryReport {
    return { ...this.report };
  }

  /**
   * A storage buffer of `bytes` (rounded up to 16). Its contents are whatever its last user left:
   * callers write before they read.
   * @throws DeviceError when the adapter cannot hold a buffer of that size.
   */
  acquire(bytes: number, label: string): GPUBuffer {
    const size = Math.ceil(Math.max(bytes, 16) / 16) * 16;
    const kept = this.free.get(size)?.pop();
    this.report.live += size;
    if (kept) {
      this.report.pooled -= size;
      kept.label = label;
      return kept;
    }
    const limit = this.gpu.limits.maxBufferSize;
    if (size > limit) {
      this.report.live -= size;
      throw new DeviceError(
        `${label} needs one buffer of ${(size / MIB).toFixed(0)} MiB, this adapter allows ` +
          `${(limit / MIB).toFixed(0)} MiB: use --light, a smaller --size, --ch or --batch`,
      );
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.report.created++;
    this.report.peak = Math.max(this.report.peak, this.report.live + this.report.pooled);
    return this.gpu.createBuffer({ size, usage, label });
  }

  /** Gives a buffer back for reuse by a later `acquire` of the same size. */
  release(buffer: GPUBuffer): void {
    this.report.live -= buffer.size;
    this.report.pooled += buffer.size;
    const list = this.free.get(buffer.size);
    if (list) list.push(buffer);
    else this.free.set(buffer.size, [buffer]);
  }

  /** Destroys the pooled buffers. */
  trim(): void {
    for (const list of this.free.values()) for (const buffer of list) buffer.destroy();
    this.free.clear();
    this.report.pooled = 0;
  }
}
