import { execFileSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { type Ceilings, type Device, type Precision, rate } from '../engine/index.ts';

/** What the numbers were measured on. */
export interface Header {
  readonly adapter: string;
  readonly driver: string;
  readonly features: readonly string[];
  readonly subgroup_size: number;
  readonly precision: Precision;
  readonly date: string;
  /** Short hash, `+` where files were changed since. */
  readonly commit: string;
  readonly node: string;
  readonly cores: number;
  /** Of the machine when the run started: other work spoils the numbers. */
  readonly load: number;
  readonly size: string;
  readonly clock: 'time stamps of the GPU' | 'wall time';
  readonly ceilings: {
    readonly gflops: number;
    readonly fma_kernel: string;
    readonly gbps: number;
    readonly copy_kernel: string;
    readonly launch_us: number;
  };
}

function git(...args: string[]): string {
  try {
    const cwd = new URL('.', import.meta.url);
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

/** Short hash of the checkout, `+` where files were changed since. */
export function commit(): string {
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', ':!bench/results');
  return (git('rev-parse', '--short', 'HEAD') || 'unknown') + (changed ? '+' : '');
}

const rounded = (value: number) => Number(value.toPrecision(4));

/** What the run's records stand under. */
export function headerOf(device: Device, ceilings: Ceilings, size: string, stamped: boolean): Header {
  const { fma, copy, launchUs } = ceilings;
  return {
    adapter: device.info.device || device.name,
    driver: device.info.description,
    features: [...device.gpu.features].sort(),
    subgroup_size: device.subgroupSize,
    precision: device.precision,
    date: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    cores: cpus().length,
    load: rounded(loadavg()[0]),
    size,
    clock: stamped ? 'time stamps of the GPU' : 'wall time',
    ceilings: {
      gflops: rounded(rate(fma.work, fma.timing.min)),
      fma_kernel: fma.name,
      gbps: rounded(rate(copy.work, copy.timing.min)),
      copy_kernel: copy.name,
      launch_us: rounded(launchUs),
    },
  };
}

/** A short name of the adapter and its driver for a folder: `llvmpipe-mesa-25.0.7`. */
export function slugOf({ info }: Pick<Device, 'info'>): string {
  const mesa = /^(\w+): Mesa (\d+(?:\.\d+)+)/.exec(info.description);
  const version = /\d+(?:\.\d+)+/.exec(info.description)?.[0] ?? '';
  const name = mesa?.[1] === 'llvmpipe' ? 'llvmpipe' : info.device || info.architecture || info.vendor;
  const text = [name, mesa ? `mesa-${mesa[2]}` : version].filter(Boolean).join('-');
  return (text || 'adapter').toLowerCase().replace(/[^a-z0-9.]+/g, '-');
}
