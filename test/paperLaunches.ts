import type { Card } from '../bench/paper/cards.ts';
import { type Estimate, estimateLaunches } from '../bench/paper/estimate.ts';
import { ratesOf } from '../bench/paper/time.ts';
import { bindingsOf, type Constants } from '../engine/device/kernel.ts';
import { planMemory } from '../engine/plan/plan.ts';
import type { Launch } from '../engine/record/recorder.ts';
import { makeTensor, type Tensor } from '../engine/record/tensor.ts';

// Launches made by hand, for the tests of what `bench paper` expects of them.

interface Parts {
  readonly kernel: string;
  readonly entry?: string;
  readonly constants: Constants;
  readonly bind: readonly Tensor[];
  readonly grid: readonly [number, number, number];
}

/** A launch as `launch` in engine/recorder.ts would append it. */
export function launchOf({ kernel: name, entry = 'main', constants, bind, grid }: Parts): Launch {
  const kernel = { name, entry, constants };
  const writes = bindingsOf(kernel).map((kind) => kind === 'write');
  return { kernel, label: name, bindings: bind, writes, grid, copies: [] };
}

export const shaped = (...shape: number[]) => makeTensor(shape);

/** What is expected of launches that are repeated. */
export function estimatesOf(card: Card, launches: readonly Launch[]): Estimate[] {
  const plan = planMemory(launches, [], 2 ** 32);
  return estimateLaunches(ratesOf(card), { launches, plan, outputs: {}, uploaded: [] });
}

export const microseconds = ({ own_ms }: Estimate) => own_ms * 1e3;
