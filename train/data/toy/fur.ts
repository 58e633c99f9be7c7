import { type Canvas, type Colour, colourAt, mix, paint, pixelSize, type Shade } from './canvas.ts';
import type { Coat } from './coat.ts';
import { noise, smoothstep } from './noise.ts';
import { type Pose, unsee } from './pose.ts';
import type { Dice } from './random.ts';
import { type Figure, grow, stroke } from './shapes.ts';

/** Where the light comes from, and its colour and that of the shadows. */
export interface Light {
  /** Direction towards the light, of length 1; z towards the viewer. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly warm: Colour;
  readonly shade: Colour;
}

export function drawLight(dice: Dice): Light {
  const angle = dice.range(-2.6, -0.55);
  const z = dice.range(0.35, 0.75);
  const flat = Math.sqrt(1 - z * z);
  const mood = dice.weighted<[Colour, Colour]>([
    [
      5,
      [
        [1.06, 1.05, 1.02],
        [0.62, 0.63, 0.7],
      ],
    ],
    [
      3,
      [
        [1.12, 1.04, 0.9],
        [0.58, 0.54, 0.6],
      ],
    ],
    [
      2,
      [
        [1.02, 1.05, 1.1],
        [0.54, 0.58, 0.68],
      ],
    ],
  ]);
  return { x: Math.cos(angle) * flat, y: Math.sin(angle) * flat, z, warm: mood[0], shade: mood[1] };
}

/** Multiplies a colour by the light that falls on a surface with the normal (nx, ny, nz). */
export function illuminate(out: Float64Array, light: Light, nx: number, ny: number, nz: number): void {
  const t = smoothstep(-0.55, 0.95, nx * light.x + ny * light.y + nz * light.z);
  for (let c = 0; c < 3; c++) out[c] *= light.shade[c] + (light.warm[c] - light.shade[c]) * t;
}

/** The figure with a furry outline: its edge waves along the direction around (cx, cy). */
export function furry({ shape, box }: Figure, cx: number, cy: number, amount: number, seed: number): Figure {
  const reach = 2 * amount + 0.02;
  return {
    shape: (x, y) => {
      const d = shape(x, y);
      if (d > reach || d < -reach) return d;
      const angle = Math.atan2(y - cy, x - cx);
      // Ridges of noise: tufts that end in points.
      const tufts = 1 - 2.4 * Math.abs(noise(angle * 13, 0.5, seed));
      return d - amount * (0.75 * tufts + 0.5 * (1 - 2.4 * Math.abs(noise(angle * 29, 4.5, seed))));
    },
    box: grow(box, 1.3 * amount),
  };
}

/** How bright the hairs at a point are: streaks that run away from (0, cy). Around 1. */
export function strands(x: number, y: number, cy: number, coat: Coat, fine: number): number {
  const dy = y - cy;
  const r = Math.sqrt(x * x + dy * dy);
  const angle = Math.atan2(dy, x);
  const along = 5 - 2 * coat.length;
  // The streaks bend a little, and twice as fine ones join where the pixels can show them.
  const bend = 0.12 * noise(x * 3, y * 3, coat.seed ^ 3);
  const coarse = noise((angle + bend) * 11, r * along, coat.seed);
  const thin = fine > 0 ? fine * noise((angle + bend) * 27, r * along * 1.6, coat.seed ^ 9) : 0;
  return 1 + 0.075 * coarse + 0.085 * thin;
}

/** 0 when a picture is too small for fine hairs, 1 when it is large. */
export const fineness = (canvas: Canvas): number => smoothstep(0.055, 0.02, pixelSize(canvas));

const head = new Float64Array(3);

/**
 * The shade of a turned head: coat where the ball is seen, light by its normal, streaks, darker towards the
 * rim.
 */
export function headShade(canvas: Canvas, coat: Coat, pose: Pose, light: Light): Shade {
  const fine = fineness(canvas);
  return (out, x, y, d) => {
    unsee(pose, x, y, head);
    coat.paint(out, head[0], head[1]);
    const hair = strands(head[0], head[1], 0.2, coat, fine) * (0.9 + 0.1 * smoothstep(0, -0.12, d));
    for (let c = 0; c < 3; c++) out[c] *= hair;
    illuminate(out, light, x / 1.2, y / 1.2, head[2]);
  };
}

/**
 * Single hairs over what is drawn: short strokes that take the colour under their root, a little lighter or
 * darker. `root` gives a starting point and the direction there, or nothing to leave a hair out.
 */
export function drawHairs(
  canvas: Canvas,
  dice: Dice,
  count: number,
  length: number,
  root: (u: number, v: number) => readonly [number, number, number, number] | undefined,
): void {
  const width = Math.max(0.008, pixelSize(canvas) * 0.35);
  for (let i = 0; i < count; i++) {
    const at = root(dice.range(0, 1), dice.range(0, 1));
    const [stretch, tone, bend] = [dice.range(0.6, 1.3), dice.range(-1, 1), dice.range(-0.25, 0.25)];
    if (!at) continue;
    const [x, y, dx, dy] = at;
    const reach = length * stretch;
    const under = colourAt(canvas, x, y);
    const colour =
      tone > 0 ? mix(under, [1, 0.98, 0.95], tone * 0.22) : mix(under, [0.05, 0.04, 0.05], -tone * 0.2);
    const middle = [
      x + dx * reach * 0.5 - dy * bend * reach,
      y + dy * reach * 0.5 + dx * bend * reach,
    ] as const;
    const tip = [x + dx * reach, y + dy * reach] as const;
    paint(canvas, stroke([x, y], middle, tip, width, width * 0.3, 3), colour, { opacity: 0.6 });
  }
}
