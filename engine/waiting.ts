/** What one program takes, learnt from the waits for it. */
export interface Cost {
  /** Milliseconds of the last waits; NaN before the second one (the first includes compiling). */
  ms: number;
  waits: number;
}

/** Programs submitted since the host last waited, oldest first. */
export interface Pending {
  since: number;
  costs: Cost[];
}

/** Notes that a program was submitted. */
export function submitted(pending: Pending, cost: Cost): void {
  if (pending.costs.length === 0) pending.since = performance.now();
  pending.costs.push(cost);
}

/** Part of the expected time to sleep: the rest is polled, so that a short run is not overslept. */
const SLEEP_SHARE = 0.8;

/** Never sleep longer than this many milliseconds on an estimate. */
const LONGEST_SLEEP = 10_000;

/** Below this many milliseconds a timer is too coarse. */
const WORTH_SLEEPING = 3;

/**
 * Waits for the GPU. While a promise of Dawn's is pending, its Node binding polls without pause and so takes
 * a processor from lavapipe (measured: 74-86 against 127-131 GFLOP/s); so sleep most of the expected time
 * first.
 */
export async function untilDone(pending: Pending, wait: () => Promise<unknown>): Promise<void> {
  const { costs, since } = pending;
  pending.costs = [];
  const expected = costs.reduce((sum, c) => sum + (c.waits > 1 ? c.ms : 0), 0);
  const sleep = Math.min(since + SLEEP_SHARE * expected - performance.now(), LONGEST_SLEEP);
  if (costs.length > 0 && sleep > WORTH_SLEEPING) await new Promise((wake) => setTimeout(wake, sleep));
  const woke = performance.now();
  await wait();
  const now = performance.now();
  // Done already when it woke: the true time is unknown but shorter.
  const overslept = sleep > WORTH_SLEEPING && now - woke < 1;
  const actual = overslept ? expected * SLEEP_SHARE * SLEEP_SHARE : now - since;
  // A program submitted several times is one cost.
  for (const cost of new Set(costs)) {
    const known = cost.waits > 1 && expected > 0;
    cost.ms = known ? (cost.ms * actual) / expected : actual / costs.length;
    cost.waits++;
  }
}
