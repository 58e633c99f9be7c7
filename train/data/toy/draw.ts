import type { Picture } from '../picture.ts';
import { drawBackground } from './background.ts';
import { type Canvas, createCanvas, toBytes } from './canvas.ts';
import { drawCat } from './cat.ts';
import { drawCatCoat, drawDogCoat } from './coat.ts';
import { drawDog } from './dog.ts';
import { drawLight, type Light } from './fur.ts';
import { drawPose } from './pose.ts';
import { createDice } from './random.ts';

/** What a drawn picture shows. */
export type ToyDomain = 'cat' | 'dog';

/**
 * Draws a portrait of a cat or a dog, `size` x `size`. A pure function: the same arguments give the same
 * bytes. The seed decides pose, coat, light and place; the size only how finely it is drawn.
 */
export function drawToy(domain: ToyDomain, seed: number, size: number): Picture {
  const dice = createDice(seed, domain === 'cat' ? 0xca7 : 0xd06);
  const canvas = createCanvas(size);
  const [pose, light] = [drawPose(dice), drawLight(dice)];
  drawBackground(canvas, dice);
  const coat = domain === 'cat' ? drawCatCoat(dice) : drawDogCoat(dice);
  const draw = domain === 'cat' ? drawCat : drawDog;
  draw({ canvas, dice, pose, coat, light });
  expose(canvas, light, dice.range(0.94, 1.05), dice.range(0.05, 0.22));
  return toBytes(canvas);
}

/** What the camera adds: exposure, the light's tint, darker corners. */
function expose({ size, rgb }: Canvas, light: Light, exposure: number, vignette: number): void {
  const tint = light.warm.map((v) => exposure * (1 + (v - 1.04) * 0.35));
  for (let j = 0; j < size; j++) {
    const y = (2 * (j + 0.5)) / size - 1;
    for (let i = 0; i < size; i++) {
      const x = (2 * (i + 0.5)) / size - 1;
      const dim = 1 - vignette * Math.max(0, (x * x + y * y) / 2 - 0.15);
      for (let c = 0; c < 3; c++) rgb[(j * size + i) * 3 + c] *= tint[c] * dim;
    }
  }
}
