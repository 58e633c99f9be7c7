import { blend, blendInto, type Canvas, type Colour, mix, PICTURE_FRAME, paint } from './canvas.ts';
import { clouds, noise, smoothstep } from './noise.ts';
import type { Dice } from './random.ts';
import { ellipse, type Figure } from './shapes.ts';

const EVERYWHERE: Figure = { shape: () => -1, box: { x0: -1, y0: -1, x1: 1, y1: 1 } };

/** The colour of what is in front, while a pixel is mixed. */
const near = new Float64Array(3);

/** Colour pairs for walls, cloth and blurred rooms: light and dark. */
const TONES: readonly (readonly [Colour, Colour])[] = [
  [
    [0.72, 0.82, 0.88],
    [0.36, 0.5, 0.62],
  ],
  [
    [0.93, 0.86, 0.76],
    [0.68, 0.55, 0.45],
  ],
  [
    [0.8, 0.86, 0.74],
    [0.42, 0.52, 0.38],
  ],
  [
    [0.9, 0.76, 0.74],
    [0.6, 0.4, 0.44],
  ],
  [
    [0.86, 0.86, 0.87],
    [0.5, 0.5, 0.54],
  ],
  [
    [0.98, 0.97, 0.95],
    [0.82, 0.82, 0.84],
  ],
  [
    [0.4, 0.42, 0.5],
    [0.13, 0.14, 0.2],
  ],
  [
    [0.82, 0.74, 0.88],
    [0.45, 0.38, 0.58],
  ],
  [
    [0.95, 0.82, 0.52],
    [0.72, 0.48, 0.26],
  ],
  [
    [0.45, 0.66, 0.66],
    [0.16, 0.34, 0.38],
  ],
];

/**
 * Draws one of several places, all out of focus, as behind a portrait. Both animals are seen in all of them.
 */
export function drawBackground(canvas: Canvas, dice: Dice): void {
  canvas.frame = PICTURE_FRAME;
  const scene = dice.pick([
    drawStudio,
    drawStudio,
    drawBokeh,
    drawMeadow,
    drawRoom,
    drawLeaves,
    drawCurtain,
    drawSnow,
  ]);
  scene(canvas, dice);
}

/** A lit backdrop. */
function drawStudio(canvas: Canvas, dice: Dice): void {
  const [light, dark] = dice.pick(TONES);
  const [cx, cy, reach] = [dice.range(-0.6, 0.6), dice.range(-0.8, 0.2), dice.range(1.2, 2)];
  const seed = dice.seed();
  paint(canvas, EVERYWHERE, (out, x, y) => {
    const cloth = 0.05 * clouds(x * 1.6, y * 1.6, seed);
    blend(out, light, dark, smoothstep(0, reach, Math.hypot(x - cx, y - cy)) + cloth);
  });
}

/** Lamps far out of focus. */
function drawBokeh(canvas: Canvas, dice: Dice): void {
  drawStudio(canvas, dice);
  const hues: Colour[] = [
    [1, 0.93, 0.78],
    [1, 0.82, 0.6],
    [0.82, 0.92, 1],
    [1, 0.8, 0.86],
    [0.86, 1, 0.84],
  ];
  const count = 9 + Math.floor(dice.range(0, 9));
  for (let i = 0; i < count; i++) {
    const r = dice.range(0.08, 0.26);
    const disc = ellipse(dice.range(-1.1, 1.1), dice.range(-1.1, 0.7), r, r);
    paint(canvas, disc, dice.pick(hues), { opacity: dice.range(0.1, 0.34), soft: dice.range(0.03, 0.08) });
  }
}

/** Grass under a sky with hills or trees between. */
function drawMeadow(canvas: Canvas, dice: Dice): void {
  const skies: (readonly [Colour, Colour])[] = [
    [
      [0.45, 0.66, 0.9],
      [0.83, 0.91, 0.96],
    ],
    [
      [0.55, 0.6, 0.72],
      [0.95, 0.82, 0.7],
    ],
    [
      [0.72, 0.78, 0.84],
      [0.92, 0.93, 0.94],
    ],
  ];
  const [zenith, haze] = dice.pick(skies);
  const grass: Colour = dice.pick([
    [0.45, 0.6, 0.28],
    [0.55, 0.58, 0.3],
    [0.36, 0.52, 0.3],
  ] as Colour[]);
  const deep: Colour = [0.2, 0.3, 0.14];
  const hill = mix(grass, haze, dice.range(0.25, 0.6));
  const [horizon, rise, seed] = [dice.range(-0.15, 0.45), dice.range(0.1, 0.35), dice.seed()];
  paint(canvas, EVERYWHERE, (out, x, y) => {
    const far = horizon - rise * (0.6 + 0.5 * clouds(x * 1.3, 2, seed));
    blend(out, zenith, haze, smoothstep(-1, far, y));
    blendInto(out, hill, smoothstep(far - 0.05, far + 0.05, y));
    if (y < horizon - 0.06) return;
    const blades = 1 + 0.14 * noise(x * 16, y * 7, seed) + 0.1 * clouds(x * 3, y * 3, seed);
    blend(near, grass, deep, smoothstep(horizon, 1.4, y));
    for (let c = 0; c < 3; c++) near[c] *= blades;
    blendInto(out, near, smoothstep(horizon - 0.06, horizon + 0.06, y));
  });
}

/** A wall with a soft stripe or picture frame, and a floor or sofa. */
function drawRoom(canvas: Canvas, dice: Dice): void {
  const [wall, wallDark] = dice.pick(TONES);
  const [seat, seatDark] = dice.pick(TONES);
  const [edge, tilt, stripes, phase] = [
    dice.range(0.15, 0.7),
    dice.range(-0.1, 0.1),
    dice.range(5, 14),
    dice.range(0, 6),
  ];
  const striped = dice.chance(0.4) ? 0.05 : 0;
  paint(canvas, EVERYWHERE, (out, x, y) => {
    const stripe = striped * smoothstep(-0.4, 0.4, Math.sin(x * stripes + phase));
    blend(out, wall, wallDark, smoothstep(-1.4, 1.6, x * 0.5 + y) + stripe);
    blend(near, seat, seatDark, smoothstep(edge, 1.5, y) * 0.8 + 0.08 * Math.sin(x * 3 + phase));
    blendInto(out, near, smoothstep(edge - 0.03, edge + 0.03, y + x * tilt));
  });
  const window = dice.chance(0.5);
  const [wx, wy] = [dice.pick([-1, 1]) * dice.range(0.6, 0.9), dice.range(-0.8, -0.4)];
  if (!window) return;
  const pane: Figure = {
    shape: (x, y) => Math.max(Math.abs(x - wx) - 0.3, Math.abs(y - wy) - 0.38),
    box: { x0: wx - 0.3, y0: wy - 0.38, x1: wx + 0.3, y1: wy + 0.38 },
  };
  paint(canvas, pane, mix(wall, [1, 1, 0.97], 0.75), { soft: 0.07, opacity: 0.85 });
  const bar = ellipse(wx, wy, 0.025, 0.4);
  paint(canvas, bar, wallDark, { soft: 0.04, opacity: 0.6 });
}

/** Leaves in sunlight. */
function drawLeaves(canvas: Canvas, dice: Dice): void {
  const greens: Colour[] = dice.pick([
    [
      [0.2, 0.34, 0.16],
      [0.44, 0.58, 0.26],
      [0.78, 0.84, 0.52],
    ],
    [
      [0.3, 0.22, 0.14],
      [0.66, 0.44, 0.2],
      [0.92, 0.76, 0.42],
    ],
    [
      [0.12, 0.24, 0.22],
      [0.3, 0.48, 0.4],
      [0.7, 0.82, 0.72],
    ],
  ]);
  const [seed, size] = [dice.seed(), dice.range(2, 3.4)];
  paint(canvas, EVERYWHERE, (out, x, y) => {
    const n = clouds(x * size, y * size, seed);
    blend(out, greens[0], greens[1], smoothstep(-0.6, 0.35, n));
    blendInto(out, greens[2], smoothstep(0.25, 0.8, n + 0.25 * clouds(x * 5, y * 5, seed ^ 5)));
  });
}

/** Cloth in folds. */
function drawCurtain(canvas: Canvas, dice: Dice): void {
  const [light, dark] = dice.pick(TONES);
  const [folds, lean, phase, seed] = [dice.range(4, 9), dice.range(-0.5, 0.5), dice.range(0, 6), dice.seed()];
  paint(canvas, EVERYWHERE, (out, x, y) => {
    const wave = Math.sin((x + lean * y) * folds + phase + 0.8 * noise(x * 2, y * 0.7, seed));
    blend(out, light, dark, 0.45 + 0.4 * wave + 0.1 * y);
  });
}

/** Snow under a pale sky, with flakes. */
function drawSnow(canvas: Canvas, dice: Dice): void {
  const [horizon, seed] = [dice.range(-0.1, 0.4), dice.seed()];
  const trees: Colour = [0.3, 0.38, 0.42];
  const snow: Colour = [0.93, 0.95, 0.98];
  const shadow: Colour = [0.74, 0.8, 0.9];
  const sky: Colour = dice.pick([
    [0.62, 0.72, 0.84],
    [0.74, 0.76, 0.82],
    [0.5, 0.56, 0.7],
  ] as Colour[]);
  paint(canvas, EVERYWHERE, (out, x, y) => {
    const drift = horizon + 0.12 * clouds(x * 1.5, 1, seed);
    const wood = smoothstep(drift - 0.5, drift, y + 0.12 * noise(x * 6, 3, seed));
    blend(out, sky, trees, 0.5 * wood);
    blend(near, snow, shadow, smoothstep(drift, 1.5, y) + 0.2 * clouds(x * 2, y * 4, seed));
    blendInto(out, near, smoothstep(drift - 0.04, drift + 0.04, y));
  });
  for (let i = 0; i < 22; i++) {
    const r = dice.range(0.012, 0.04);
    const flake = ellipse(dice.range(-1, 1), dice.range(-1, 1), r, r);
    paint(canvas, flake, [1, 1, 1], { opacity: dice.range(0.35, 0.8), soft: r });
  }
}
