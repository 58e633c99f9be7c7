import { keyedRandom } from '../random.ts';

/** Choices for a drawing, all from one seeded stream. */
export interface Dice {
  /** Uniform between the two. */
  range(low: number, high: number): number;
  /** Bell-shaped between the two: the middle is likelier. */
  bell(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
  /** One of the choices, with probability in proportion to its weight. */
  weighted<T>(choices: readonly (readonly [number, T])[]): T;
  /** A 31-bit seed, for noise. */
  seed(): number;
}

export function createDice(...keys: number[]): Dice {
  const random = keyedRandom(...keys);
  const range = (low: number, high: number) => low + (high - low) * random();
  return {
    range,
    bell: (low, high) => low + ((high - low) * (random() + random() + random())) / 3,
    chance: (probability) => random() < probability,
    pick: (choices) => choices[Math.floor(random() * choices.length)],
    weighted(choices) {
      let at = random() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) if ((at -= weight) < 0) return choice;
      return choices[choices.length - 1][1];
    },
    seed: () => Math.floor(random() * 2 ** 31),
  };
}
