import { writeFileSync } from 'node:fs';
import {
  type Constants,
  type Device,
  measureCeilings,
  type Precision,
  rate,
  type Step,
  type Stopwatch,
  type Variants,
} from '../engine/index.ts';
import type { CommonOptions } from '../model/recipe.ts';
import { commit } from './header.ts';

/** One launch of a measured iteration: enough to find the same one on paper. */
export interface LaunchRow {
  /** As if among others: timed alone, less what that adds on average. */
  readonly ms: number;
  readonly label: string;
  /** File and entry point; null for copies. */
  readonly kernel: string | null;
  readonly grid: readonly number[];
  readonly constants: Constants;
  readonly shapes: readonly (readonly number[])[];
  readonly writes: readonly boolean[];
}

/** What `bench step --launches FILE` writes, and `bench paper --against FILE` reads. */
export interface LaunchFile {
  readonly device: string;
  readonly driver: string;
  readonly is_cpu: boolean;
  readonly subgroups: readonly [least: number | undefined, most: number | undefined];
  readonly features: readonly string[];
  readonly toggles: readonly string[];
  readonly commit: string;
  readonly precision: Precision;
  /** Name of the recipe; absent: U-GAT-IT's. */
  readonly recipe?: string;
  readonly config: CommonOptions;
  /** What `--force` asked for. */
  readonly variants?: Variants;
  /** Kernels the tuner chose, as a run keeps them. */
  readonly tuned: Readonly<Record<string, string>>;
  readonly pipelines: number;
  /** Milliseconds until the iteration was recorded, nearly all of them the driver's compiler's. */
  readonly compile_ms: number;
  readonly iteration_ms: number;
  readonly iteration_ms_min: number;
  readonly host_ms: number;
  /** Milliseconds that timing a launch alone adds; subtracted from each row. */
  readonly alone_ms: number;
  readonly ceilings: { readonly gflops: number; readonly gbps: number; readonly launch_us: number };
  readonly rows: readonly LaunchRow[];
}

/** The launches with their times. */
export function launchRows(steps: readonly Step[], times: readonly number[]): LaunchRow[] {
  return steps.map(({ launch: { label, kernel, grid, bindings, writes } }, i) => ({
    ms: times[i],
    label,
    kernel: kernel && `${kernel.name}:${kernel.entry}`,
    grid,
    constants: kernel?.constants ?? {},
    shapes: bindings.map(({ shape }) => shape),
    writes,
  }));
}

/** What the iteration itself tells. */
export type MeasuredIteration = Pick<
  LaunchFile,
  | 'iteration_ms'
  | 'iteration_ms_min'
  | 'host_ms'
  | 'alone_ms'
  | 'compile_ms'
  | 'recipe'
  | 'config'
  | 'toggles'
  | 'rows'
>;

const aboutDevice = ({ name, info, isCpu, gpu, precision, variants, tuning, pipelines }: Device) => ({
  device: info.device || name,
  driver: info.description,
  is_cpu: isCpu,
  subgroups: [info.subgroupMinSize, info.subgroupMaxSize] as const,
  features: [...gpu.features].sort(),
  precision,
  variants,
  tuned: Object.fromEntries(tuning.best),
  pipelines: pipelines.size,
});

/** Measures the ceilings and writes all there is to know of an iteration. */
export async function writeLaunches(
  file: string,
  watch: Stopwatch,
  measured: MeasuredIteration,
): Promise<void> {
  const about = aboutDevice(watch.device); // before the ceilings add pipelines of their own
  const { fma, copy, launchUs, close } = await measureCeilings(watch, { quick: true });
  close();
  const ceilings = {
    gflops: rate(fma.work, fma.timing.min),
    gbps: rate(copy.work, copy.timing.min),
    launch_us: launchUs,
  };
  const { iteration_ms, iteration_ms_min, host_ms, alone_ms, compile_ms, toggles, rows, recipe, config } =
    measured;
  const times = { iteration_ms, iteration_ms_min, host_ms, alone_ms, compile_ms, ceilings };
  const all: LaunchFile = { ...about, commit: commit(), recipe, config, toggles, ...times, rows };
  writeFileSync(file, `${JSON.stringify(all)}\n`);
}
