import {
  type Device,
  finish,
  median,
  memory,
  profileProgram,
  type Share,
  type Stopwatch,
  sharesOf,
} from '../engine/index.ts';
import { initialise } from '../model/ensemble.ts';
import { createModel, ensemblesOf, freeModel } from '../model/model.ts';
import type { CommonOptions, Recipe } from '../model/recipe.ts';
import { DEFAULT_RECIPE } from '../model/recipes.ts';
import { values } from '../test/cases/types.ts';
import { closeSession, openSession, readLosses, runStep, type Session } from '../train/session.ts';
import { type LaunchRow, launchRows } from './launchFile.ts';

/** So that an iteration takes seconds on a processor too. */
const SMALL: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  [DEFAULT_RECIPE]: { size: 96, ch: 16 },
};

/** A recipe that is benchmarked: with smaller defaults than training has, where those would take long. */
export function benchRecipe(recipe: Recipe): Recipe {
  const small = SMALL[recipe.name] ?? {};
  const table = Object.entries(recipe.options).map(([name, option]) => [
    name,
    name in small ? { ...option, default: small[name] } : option,
  ]);
  return { ...recipe, options: Object.fromEntries(table) };
}

/** One training iteration looked at closely. */
export interface StepReport {
  /** Milliseconds from the upload to the losses on the host. */
  readonly iteration_ms: number;
  readonly iteration_ms_min: number;
  /** Encoding and submitting, on the host. */
  readonly host_ms: number;
  readonly host_share: number;
  readonly launches: number;
  readonly plan_bytes: number;
  readonly plan_lower_bound: number;
  /** Buffers and textures created after the first iteration; 0 where replaying allocates nothing. */
  readonly created_later: number;
  /** Milliseconds that timing a launch alone adds, already subtracted in the two lists. */
  readonly alone_ms: number;
  /** Per op, as far as the adapter has time stamps. */
  readonly ops: readonly Share[];
  readonly labels: readonly Share[];
}

async function iterate(device: Device, session: Session, iterations: number) {
  const { size, batch } = session.model.options;
  const picture = (seed: number) => Float32Array.from(values([batch, size, size, 3], seed, 0.4).data);
  const pictures = { a: picture(1), b: picture(2) } as Parameters<typeof runStep>[1];
  const wall: number[] = [];
  const host: number[] = [];
  let created = 0;
  for (let i = 0; i <= iterations; i++) {
    const start = performance.now();
    runStep(session, pictures, i + 1, 1e-4);
    const submitted = performance.now();
    await readLosses(session);
    await finish(device);
    if (i === 0) {
      created = memory(device).created;
      continue;
    }
    wall.push(performance.now() - start);
    host.push(submitted - start);
  }
  return { wall, host, created: memory(device).created - created };
}

/** A report, and what it was made of. */
export interface MeasuredStep {
  readonly report: StepReport;
  /** Milliseconds of recording, nearly all of them of the shader compiler. */
  readonly compile_ms: number;
  /** Launch by launch; empty without time stamps. */
  readonly rows: readonly LaunchRow[];
}

/** Trains for some iterations on noise and reports where the time goes. */
export async function reportStep(
  watch: Stopwatch,
  recipe: Recipe,
  config: CommonOptions,
  iterations: number,
): Promise<MeasuredStep> {
  const { device } = watch;
  const model = createModel(device, recipe, config);
  initialise(device, ensemblesOf(model), 1);
  const start = performance.now();
  const session = await openSession(model);
  const compile_ms = performance.now() - start;
  const { steps, plan } = session.step;
  const { wall, host, created } = await iterate(device, session, iterations);
  const profile = watch.stamps ? await profileProgram(watch, steps, Math.min(3, iterations)) : null;
  const shares = (nameOf: (label: string) => string) =>
    profile ? sharesOf(steps, profile.times, nameOf) : [];
  const report: StepReport = {
    iteration_ms: median(wall),
    iteration_ms_min: Math.min(...wall),
    host_ms: median(host),
    host_share: median(host) / median(wall),
    launches: steps.length,
    plan_bytes: plan.bytes,
    plan_lower_bound: plan.lowerBound,
    created_later: created,
    alone_ms: profile?.alone_ms ?? 0,
    ops: shares((label) => label.split('.')[0]),
    labels: shares((label) => label),
  };
  const rows = profile ? launchRows(steps, profile.times) : [];
  await closeSession(session);
  freeModel(model);
  return { report, compile_ms, rows };
}

function shareLines(shares: readonly Share[]): string[] {
  return shares.map(({ label, ms, share, launches }) => {
    const bar = '#'.repeat(Math.round(share * 40));
    const percent = `${(share * 100).toFixed(1)} %`;
    const numbers = `${ms.toFixed(2).padStart(9)} ms ${percent.padStart(7)} ${String(launches).padStart(6)}`;
    return `${label.padEnd(30)} ${numbers}  ${bar}`;
  });
}

/** The report for people; with `profile` label by label. */
export function printStep(report: StepReport, profile: boolean): string {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const above = ((report.plan_bytes / report.plan_lower_bound - 1) * 100).toFixed(1);
  const r = report;
  const lines = [
    `iteration   ${r.iteration_ms.toFixed(1)} ms (best ${r.iteration_ms_min.toFixed(1)})`,
    `launches    ${r.launches}`,
    `host        ${r.host_ms.toFixed(1)} ms to encode and submit, ${(r.host_share * 100).toFixed(1)} %`,
    `plan        ${mib(r.plan_bytes)}, ${above} % above the lower bound of ${mib(r.plan_lower_bound)}`,
    `created     ${r.created_later} buffers or textures after the first iteration`,
    `profile     each launch timed alone, less the ${(r.alone_ms * 1000).toFixed(0)} us that this adds`,
    '',
    `${'op'.padEnd(30)} ${'time'.padStart(12)} ${'share'.padStart(7)} launches`,
    ...shareLines(report.ops),
  ];
  if (profile) lines.push('', ...shareLines(report.labels));
  if (report.ops.length === 0) lines.push('no time stamps on this adapter: no breakdown per op');
  return lines.join('\n');
}
