import type { Canvas } from './canvas.ts';
import type { Coat } from './coat.ts';
import type { Light } from './fur.ts';
import type { Pose } from './pose.ts';
import type { Dice } from './random.ts';

/** Everything that the parts of one animal's drawing share. */
export interface Scene {
  readonly canvas: Canvas;
  readonly dice: Dice;
  readonly pose: Pose;
  readonly coat: Coat;
  readonly light: Light;
}

export const SIDES = [-1, 1] as const;
