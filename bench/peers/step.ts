import type { HostTensors, Prepared, Task } from './protocol.ts';

// What all frameworks agree on for the training iteration.

/** Adam's step; betas 0.5 and 0.999, eps 1e-8, weight decay 1e-4 (added to the gradient), as the authors. */
export const LEARNING_RATE = 1e-4;
export const BETAS = [0.5, 0.999];
export const EPSILON = 1e-8;
export const WEIGHT_DECAY = 1e-4;

/** Weights of the loss terms, the authors' defaults. */
export const WEIGHTS = { cycle: 10, identity: 10, cam: 1000 };

/** Runs the iterations that are compared; the losses of both steps, one tensor an iteration. */
async function lossTable(
  { iterations }: Task,
  iterate: () => Promise<Readonly<Record<string, number>>>,
): Promise<HostTensors> {
  const table: HostTensors = {};
  for (let i = 1; i <= iterations; i++) {
    const losses = await iterate();
    const data = Float32Array.of(losses['D.loss'], losses['G.loss']);
    table[`losses${i}`] = { shape: [2], data };
  }
  return table;
}

/** A training iteration as a case; `losses` brings those of the last run to the host. */
export function preparedStep(
  task: Task,
  step: Pick<Prepared, 'run' | 'close'> & { losses(): Promise<Readonly<Record<string, number>>> },
): Prepared {
  const iterate = async () => {
    await step.run();
    return step.losses();
  };
  return {
    run: step.run,
    close: step.close,
    async finish() {
      await step.losses();
    },
    results: () => lossTable(task, iterate),
  };
}
