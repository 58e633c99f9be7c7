import { blendInto, type Colour, mix, paint } from './canvas.ts';
import { drawHairs, fineness, furry, illuminate } from './fur.ts';
import { noise, smoothstep } from './noise.ts';
import type { Scene } from './scene.ts';
import { blob, ellipse, type Figure, melt, stroke } from './shapes.ts';

/**
 * Neck, shoulders and breast behind the head, in the head's frame without its roll. `chin` is where the head
 * ends below (its shadow falls there), `neck` the half width of the neck.
 */
export function drawBody(scene: Scene, chin: number, neck: number): void {
  const { canvas, coat, pose, light, dice } = scene;
  canvas.frame = { x: pose.x, y: pose.y, scale: pose.scale, roll: 0 };
  const lean = -pose.roll * 0.5;
  const [shoulders, low] = [dice.range(0.95, 1.3), dice.range(1.75, 2)];
  const trunk = melt(
    0.5,
    ellipse(lean * 0.6, 0.7, neck, 0.9),
    ellipse(lean + dice.range(-0.25, 0.25), low, shoulders, 1),
  );
  const body = furry(trunk, lean, 1.2, 0.02 + 0.035 * coat.length, coat.seed ^ 21);
  const fine = fineness(canvas);
  paint(canvas, body, (out, x, y, d) => {
    out.set(coat.base);
    const front = smoothstep(0.75, 0.25, Math.abs(x - lean * 0.8) + 0.12 * noise(x * 5, y * 5, coat.seed));
    blendInto(out, coat.breast, front);
    const hair =
      1 +
      0.09 * noise(x * 13 + y * 2, y * 4, coat.seed) +
      0.09 * fine * noise(x * 27 - y * 3, y * 7, coat.seed ^ 1);
    const shadow = 1 - 0.42 * smoothstep(0.75, 0.05, Math.hypot(x * 0.8, y - chin));
    for (let c = 0; c < 3; c++) out[c] *= hair * shadow;
    illuminate(out, light, (x - lean) / 1.4, 0.1 + 0.2 * y, smoothstep(0.02, -0.4, d));
  });
  drawHairs(canvas, dice, 160, 0.14 + 0.14 * coat.length, (u, v) => {
    const [x, y] = [lean + (u * 2 - 1) * 1.3, 0.6 + v * 1.4];
    return trunk.shape(x, y) < 0 ? [x, y, (u - 0.5) * 0.9, 0.8] : undefined;
  });
}

const BANDS: readonly Colour[] = [
  [0.78, 0.17, 0.17],
  [0.16, 0.36, 0.7],
  [0.14, 0.5, 0.34],
  [0.86, 0.62, 0.14],
  [0.5, 0.24, 0.56],
  [0.16, 0.16, 0.18],
];

/** A collar, now and then, on cats and dogs alike; some with a tag. */
export function drawCollar(scene: Scene, y: number, half: number): void {
  const { canvas, dice, light, pose } = scene;
  const band = dice.pick(BANDS);
  const tag = dice.chance(0.6);
  if (!dice.chance(0.3)) return;
  const lean = -pose.roll * 0.5;
  const strap = stroke([lean - half, y - 0.06], [lean, y + 0.32], [lean + half, y - 0.06], 0.065, 0.065, 8);
  paint(canvas, strap, (out, x, _y, d) => {
    out.set(mix(band, [1, 1, 1], 0.25 * smoothstep(-0.01, -0.06, d)));
    illuminate(out, light, (x - lean) / 1.1, 0, 0.7);
  });
  if (!tag) return;
  const disc = ellipse(lean, y + 0.24, 0.1, 0.1);
  paint(canvas, disc, (out, x, v) => {
    const shine = smoothstep(0.12, 0, Math.hypot(x - lean - light.x * 0.05, v - y - 0.24 - light.y * 0.05));
    out.set(mix([0.72, 0.58, 0.22], [1, 0.96, 0.8], shine));
  });
}

/** A pink tongue that hangs from (x, y) down by `length`. */
export function drawTongue(scene: Scene, x: number, y: number, half: number, length: number): void {
  const { canvas } = scene;
  const tongue: Figure = blob([
    [x - half, y],
    [x + half, y],
    [x + half * 1.05, y + length * 0.6],
    [x + half * 0.6, y + length * 0.97],
    [x - half * 0.6, y + length * 0.97],
    [x - half * 1.05, y + length * 0.6],
  ]);
  const pink: Colour = [0.93, 0.52, 0.56];
  paint(canvas, tongue, (out, _u, v, d) => {
    out.set(
      mix(
        pink,
        [0.72, 0.28, 0.34],
        smoothstep(y + length * 0.4, y - 0.02, v) + 0.35 * smoothstep(-0.05, 0, d),
      ),
    );
  });
  const groove = stroke([x, y], [x, y + length * 0.4], [x, y + length * 0.75], 0.018, 0.004);
  paint(canvas, groove, [0.7, 0.3, 0.36], { opacity: 0.7, soft: 0.03 });
}
