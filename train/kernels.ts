import type { Device } from '../engine/device/device.ts';
import { usePrecision } from '../engine/device/precision.ts';
import { defaultMode, tuneFor, useTuned } from '../engine/measure/tuning.node.ts';
import { allocate } from '../engine/record/tensor.ts';
import { trace } from '../engine/run/program.ts';
import { trainingStep } from '../model/ugatit/trainingStep.ts';
import { createUgatit, type UgatitConfig } from '../model/ugatit/ugatit.ts';
import { kernelsHash } from './environment.ts';
import { expectRoom } from './memoryPlan.ts';
import { type Observer, warner } from './observers.ts';
import type { LoopOptions, RunConfig } from './options.ts';

/** Records the training step on a paper device. */
export function stepOnPaper(paper: Device, config: UgatitConfig): void {
  const model = createUgatit(paper, config);
  const shape = [config.batch, config.size, config.size, 3];
  const [a, b] = ['A', 'B'].map((domain) => allocate(paper, shape, `batch ${domain}`));
  const hyper = allocate(paper, [4], 'Adam numbers');
  trace(paper, () => {
    trainingStep(model, a, b, hyper);
    return {};
  });
}

/**
 * Has the device use the precision of the run, and its kernels: those a continued run was started with, since
 * other kernels round otherwise, else those the tuner finds. Checks that training fits the adapter with them.
 * @returns the configuration with the choices, to be kept
 */
export async function settleKernels(
  device: Device,
  config: RunConfig,
  options: LoopOptions,
  observers: readonly Observer[],
  stop?: AbortSignal,
): Promise<RunConfig> {
  usePrecision(device, config.precision ?? 'full');
  useTuned(device, options.resume ? (config.tuned ?? {}) : {});
  await expectRoom(device, config.model);
  const settled = options.resume ? config : await chooseKernels(device, config, options, observers, stop);
  const chosen = Object.keys(settled.tuned ?? {}).length;
  for (const o of observers) o.kernels?.(kernelsHash(settled), chosen);
  return settled;
}

async function chooseKernels(
  device: Device,
  config: RunConfig,
  options: LoopOptions,
  observers: readonly Observer[],
  stop?: AbortSignal,
): Promise<RunConfig> {
  const onProgress = (done: number, total: number) => {
    for (const o of observers) o.tuning?.(done, total);
  };
  const mode = options.tune ?? defaultMode(device);
  const work = (paper: Device) => stepOnPaper(paper, config.model);
  const tuned = await tuneFor(device, mode, work, { onProgress, stop, warn: warner(observers) });
  if (Object.keys(tuned).length === 0) return config;
  await expectRoom(device, config.model); // other kernels need other memory
  return { ...config, tuned };
}
