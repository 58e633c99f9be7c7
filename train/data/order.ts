import { keyedRandom, shuffled } from './random.ts';

/** The stream numbers of keyedRandom's second key: what a random number is for. */
export const STREAM = { shuffle: 1, augment: 2, toy: 3 } as const;

/** Which picture a domain's sample comes from. */
export interface Order {
  /**
   * The picture of sample `k` (0, 1, 2, ...); `attempt` > 0 asks for a substitute, the next ones of the same
   * epoch.
   */
  at(k: number, attempt?: number): number;
}

/**
 * The order in which a domain of `count` pictures is seen: epoch after epoch without a pause, each a new
 * permutation that depends on (seed, domain, epoch) only; or sorted order again and again. The authors end an
 * epoch with a smaller batch; our shapes are recorded once and stay, so a batch goes on with the next epoch's
 * pictures instead.
 */
export function createOrder(count: number, shuffle: boolean, seed: number, domain: number): Order {
  const epochs = new Map<number, Uint32Array>();
  const permutation = (epoch: number): Uint32Array => {
    let order = epochs.get(epoch);
    if (!order) {
      order = shuffled(count, keyedRandom(seed, STREAM.shuffle, domain, epoch));
      epochs.set(epoch, order);
      // Samples are asked for in order, give or take the queue: two epochs back nobody looks.
      if (epochs.size > 3) epochs.delete(epochs.keys().next().value!);
    }
    return order;
  };
  return {
    at(k, attempt = 0) {
      const place = (k + attempt) % count;
      const epoch = Math.floor(k / count);
      return shuffle ? permutation(epoch)[place] : place;
    },
  };
}
