import type { Device, Step, Variants } from '../engine/index.ts';

/** How a result compares with float64. */
export interface Check {
  /** ‖out − ref‖ / ‖ref‖ over what was compared. */
  readonly error: number;
  readonly tolerance: number;
  /** What was compared, where it is not the whole result. */
  readonly note?: string;
}

/** A case made ready in one variant: recorded, with its inputs on the GPU. */
export interface Prepared {
  /** The launches to time. */
  readonly steps: readonly Step[];
  check(): Promise<Check>;
  dispose(): void | Promise<void>;
}

/** One thing to time. */
export interface BenchCase {
  /** `conv3x3_256_64`: kernel, channels, side of the picture. */
  readonly name: string;
  readonly op: string;
  readonly pass: string;
  readonly shape: string;
  /** Floating-point operations by definition (a multiply-add is two), whatever the variant really does. */
  readonly flops?: number;
  /** The same, where they must be counted first. */
  readonly countFlops?: (device: Device) => number;
  /** Bytes that have to be read and written at least. */
  readonly bytes?: number;
  /** The ceiling this case is compared with; none for cases that are all latency. */
  readonly bound: 'arithmetic' | 'memory' | null;
  /** Variants timed beside the default, by name. */
  readonly others?: (device: Device) => Record<string, Variants>;
  /** The naive twin; absent where it would take too long. */
  readonly naive?: Variants;
  /** The naive twin may be so many times less accurate: sums in one row lose more digits. Default 1. */
  readonly naiveSlack?: number;
  /** What the default is in words: the path conv2d chooses. */
  readonly chosen?: (device: Device) => string;
  /** Records the case on a paper device, so that a tuner sees what it may choose. */
  readonly onPaper?: (paper: Device) => void;
  /** Makes inputs and reference, for all variants; what it holds goes when the result is dropped. */
  open(): (device: Device) => Promise<Prepared>;
}

/** A record of the JSON file. */
export interface Result {
  readonly case: string;
  readonly op: string;
  readonly pass: string;
  readonly variant: string;
  readonly shape: string;
  readonly ms: number | null;
  readonly ms_min: number | null;
  /** Distance between the quartiles over the median. */
  readonly spread: number | null;
  readonly gflops: number | null;
  readonly gbps: number | null;
  readonly ceiling_gflops: number | null;
  readonly ceiling_gbps: number | null;
  readonly fraction_of_ceiling: number | null;
  readonly naive_ms: number | null;
  readonly speedup: number | null;
  /** Relative error against float64. */
  readonly error: number;
  readonly launches: number;
  /** Why there is no time. */
  readonly wrong?: string;
}
