import type { Device } from '../../engine/device/device.ts';
import { initialise } from '../../model/ensemble.ts';
import { createModel, ensemblesOf, freeModel } from '../../model/model.ts';
import type { CommonOptions } from '../../model/recipe.ts';
import { type UgatitConfig, ugatit } from '../../model/ugatit/ugatit.ts';
import { closeSession, openSession, readLosses, runStep, type Session } from '../../train/session.ts';
import { values } from '../cases/types.ts';

/** A batch of smooth random pictures in [-1, 1], the same for the same seed. */
export function batchOf({ batch, size }: CommonOptions, seed: number) {
  const picture = (k: number) => {
    const { data } = values([batch * size * size * 3], 2 * seed + k, 0.4);
    return Float32Array.from(data, (x) => Math.tanh(x));
  };
  return { a: picture(0), b: picture(1) };
}

/** Opens a session on a fresh model, hands it to `work`, and frees both. */
export async function withSession<T>(
  device: Device,
  config: UgatitConfig,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const model = createModel(device, ugatit, config);
  initialise(device, ensemblesOf(model), 1);
  const session = await openSession(model);
  try {
    return await work(session);
  } finally {
    await closeSession(session);
    freeModel(model);
  }
}

/** Losses of the first two training steps from a fixed start; `before` sees the recorded step. */
export function lossesOf(device: Device, config: UgatitConfig, before = (_: Session['step']) => {}) {
  return withSession(device, config, async (session) => {
    before(session.step);
    for (let step = 1; step <= 2; step++) runStep(session, batchOf(config, step), step, 1e-4);
    return readLosses(session);
  });
}
