import { drawBody, drawCollar } from './body.ts';
import { blendInto, type Colour, mix, paint, scale } from './canvas.ts';
import { drawCatEye } from './eyes.ts';
import { drawHairs, fineness, furry, headShade, illuminate } from './fur.ts';
import { noise, smoothstep } from './noise.ts';
import { see, unsee } from './pose.ts';
import { type Scene, SIDES } from './scene.ts';
import { ellipse, type Figure, melt, polygon, stroke } from './shapes.ts';

const IRISES: readonly Colour[] = [
  [0.62, 0.72, 0.26],
  [0.45, 0.65, 0.4],
  [0.9, 0.7, 0.22],
  [0.82, 0.52, 0.16],
  [0.42, 0.66, 0.88],
  [0.4, 0.72, 0.68],
];

/** The proportions of one cat. */
interface Build {
  wide: number;
  cheeks: number;
  earX: number;
  earY: number;
  earBase: number;
}

/** Draws a cat's head and shoulders. */
export function drawCat(scene: Scene): void {
  const { dice, canvas, pose } = scene;
  const build: Build = {
    wide: dice.bell(0.8, 0.96),
    cheeks: dice.bell(0.38, 0.56),
    earX: dice.bell(0.56, 0.84),
    earY: dice.bell(-1.3, -1.04),
    earBase: dice.bell(0.1, 0.24),
  };
  drawBody(scene, 0.75, 0.66);
  drawCollar(scene, 0.92, 0.7);
  canvas.frame = pose;
  // The ear that is turned away lies behind the other.
  const order = pose.yaw > 0 ? [1, -1] : [-1, 1];
  for (const side of order) drawEar(scene, build, side);
  const head = drawHead(scene, build);
  drawMuzzle(scene);
  drawEyes(scene);
  drawNose(scene);
  drawWhiskers(scene);
  drawBrowHairs(scene, head);
}

/** A corner of an ear, pulled along by the turn of the head. */
function corner(scene: Scene, x: number, y: number, z: number): [number, number] {
  const spot = see(scene.pose, x, y, z);
  return [spot.x, spot.y];
}

function earFigure(scene: Scene, build: Build, side: number, inset: number): Figure {
  const [tx, ty] = corner(scene, side * (build.earX - inset * 0.1), build.earY + inset * 1.3, 0.1);
  const [ax, ay] = corner(scene, side * (build.earBase + inset * 0.9), -0.62 + inset * 0.2, 0.4);
  const [bx, by] = corner(scene, side * (0.88 - inset), -0.16 - inset * 1.1, 0.05);
  const out: number[] = [];
  const bow = (x0: number, y0: number, x1: number, y1: number, bulge: number) => {
    for (let i = 0; i < 5; i++) {
      const t = i / 5;
      const lift = 4 * t * (1 - t) * bulge;
      out.push(x0 + (x1 - x0) * t + (y1 - y0) * lift, y0 + (y1 - y0) * t - (x1 - x0) * lift);
    }
  };
  bow(ax, ay, tx, ty, 0.05 * side);
  bow(tx, ty, bx, by, 0.1 * side);
  out.push(bx, by);
  return polygon(out, 0.035);
}

function drawEar(scene: Scene, build: Build, side: number): void {
  const { canvas, coat, light, dice } = scene;
  const outer = furry(earFigure(scene, build, side, 0), 0, 0, 0.012 + 0.012 * coat.length, coat.seed ^ side);
  const fine = fineness(canvas);
  paint(canvas, outer, (out, x, y) => {
    out.set(coat.ear);
    const hair = 1 + 0.08 * noise(x * 16, y * 7, coat.seed) + 0.06 * fine * noise(x * 36, y * 15, coat.seed);
    for (let c = 0; c < 3; c++) out[c] *= hair * 0.96;
    illuminate(out, light, side * 0.4, -0.3, 0.75);
  });
  const inner = earFigure(scene, build, side, 0.13);
  const skin = mix([0.9, 0.62, 0.58], coat.ear, 0.3);
  const [, foot] = corner(scene, side * 0.5, -0.5, 0.3);
  paint(
    canvas,
    inner,
    (out, x, y, d) => {
      out.set(mix(skin, scale(skin, 0.55), smoothstep(-0.02, -0.16, d) * smoothstep(build.earY, foot, y)));
      illuminate(out, light, -side * 0.3, 0.1, 0.8);
      const hair = 1 + 0.05 * noise(x * 20, y * 6, coat.seed);
      for (let c = 0; c < 3; c++) out[c] *= hair;
    },
    { soft: 0.07 },
  );
  drawTufts(scene, side, dice.range(0.18, 0.34));
}

/** Pale hairs that stand in the ear's inner corner. */
function drawTufts(scene: Scene, side: number, length: number): void {
  const { canvas, coat, dice } = scene;
  const pale = mix(coat.ear, coat.white, 0.65);
  for (let i = 0; i < 9; i++) {
    const x = side * (0.28 + 0.035 * i);
    const root = corner(scene, x, -0.56 + 0.025 * i, 0.35);
    const stretch = length * dice.range(0.7, 1.3);
    const tip = corner(scene, x + side * (0.12 + 0.004 * i), -0.56 - stretch, 0.3);
    const bend = corner(scene, x + side * 0.02, -0.56 - stretch * 0.6, 0.33);
    paint(canvas, stroke(root, bend, tip, 0.02, 0.003), pale, { opacity: 0.5 });
  }
}

function drawHead(scene: Scene, build: Build): Figure {
  const { canvas, coat, pose, light, dice } = scene;
  const turn = see(pose, 0, 0.3, 0.55);
  const skull = ellipse(turn.x * 0.25, -0.1 + turn.y * 0.08, build.wide, 0.76);
  const parts = SIDES.map((side) => {
    const cheek = see(pose, side * 0.46, 0.26, 0.25);
    return ellipse(cheek.x, cheek.y, build.cheeks, 0.4);
  });
  const chin = see(pose, 0, 0.5, 0.6);
  const plain = melt(0.22, skull, ...parts, ellipse(chin.x, chin.y, 0.4, 0.28));
  const head = furry(plain, 0, 0, 0.014 + 0.03 * coat.length, coat.seed);
  paint(canvas, head, headShade(canvas, coat, pose, light));
  // Longer hair at the cheeks breaks the outline.
  drawHairs(canvas, dice, 230, 0.09 + 0.12 * coat.length, (u, v) => {
    const angle = u * 2 * Math.PI;
    const r = 0.35 + 0.65 * Math.sqrt(v);
    const [x, y] = [turn.x * 0.2 + Math.cos(angle) * r * 0.95, 0.05 + Math.sin(angle) * r * 0.72];
    const d = plain.shape(x, y);
    return d < -0.03 ? [x, y, Math.cos(angle) * 0.9, Math.sin(angle) * 0.7 + 0.25] : undefined;
  });
  return plain;
}

const spotOut = new Float64Array(3);

/**
 * The two whisker pads and the chin: small, round, lighter than the rest, and hardly longer than the face.
 */
function drawMuzzle(scene: Scene): void {
  const { canvas, coat, pose, light, dice } = scene;
  const pale = mix(coat.breast, coat.white, dice.range(0.2, 0.8));
  const keep = dice.range(0.3, 0.7);
  const shade =
    (cx: number, cy: number, r: number) => (out: Float64Array, x: number, y: number, d: number) => {
      unsee(pose, x, y, spotOut);
      const [hx, hy] = [spotOut[0], spotOut[1]];
      coat.paint(out, hx, hy);
      blendInto(out, pale, 1 - keep);
      const hair = 1 + 0.06 * noise(x * 24, y * 14, coat.seed);
      for (let c = 0; c < 3; c++) out[c] *= hair;
      illuminate(out, light, ((x - cx) / r) * 0.9, ((y - cy) / r) * 0.9, smoothstep(0.02, -r * 0.7, d));
    };
  const chin = see(pose, 0, 0.57, 0.95);
  paint(canvas, ellipse(chin.x, chin.y, 0.15 * chin.narrow, 0.12), shade(chin.x, chin.y, 0.16), {
    soft: 0.08,
  });
  const order = pose.yaw > 0 ? [1, -1] : [-1, 1];
  for (const side of order) {
    const pad = see(pose, side * 0.155, 0.4, 1.02);
    const figure = ellipse(pad.x, pad.y, 0.2 * pad.narrow, 0.155, side * 0.25);
    paint(canvas, ellipse(pad.x, pad.y + 0.05, 0.2 * pad.narrow, 0.15), [0.1, 0.07, 0.07], {
      soft: 0.14,
      opacity: 0.3,
    });
    paint(canvas, figure, shade(pad.x, pad.y, 0.2), { soft: 0.06 });
  }
}

function drawEyes(scene: Scene): void {
  const { canvas, coat, pose, light, dice } = scene;
  const iris = dice.pick(IRISES);
  const odd = dice.chance(0.05) ? dice.pick(IRISES) : iris;
  const [rx, ry] = [dice.bell(0.18, 0.225), dice.bell(0.11, 0.18)];
  const tilt = dice.range(0.1, 0.34);
  const look = { gazeX: dice.bell(-0.5, 0.5), gazeY: dice.bell(-0.4, 0.4), pupil: dice.range(0.1, 0.42) };
  const rim = mix(coat.mark, [0.08, 0.07, 0.07], 0.75);
  for (const side of SIDES) {
    const spot = see(pose, side * 0.385, -0.06);
    const eye = { ...look, iris: side < 0 ? iris : odd, rx, ry, angle: -side * tilt, rim };
    drawCatEye(canvas, spot, side, eye, light);
  }
}

function drawNose(scene: Scene): void {
  const { canvas, coat, pose, light, dice } = scene;
  const dark = dice.chance(0.35);
  const skin: Colour = dark
    ? [0.3, 0.2, 0.2]
    : dice.pick([
        [0.9, 0.58, 0.56],
        [0.82, 0.48, 0.45],
        [0.72, 0.42, 0.38],
      ]);
  const nose = see(pose, 0, 0.27, 1.12);
  const w = 0.115 * Math.max(0.7, nose.narrow);
  const { x, y } = nose;
  const line = mix(coat.mark, [0.15, 0.08, 0.08], 0.7);
  const mouth = see(pose, 0, 0.43, 1.1);
  paint(canvas, stroke([x, y + 0.05], [x, y + 0.1], [mouth.x, mouth.y], 0.016), line, { opacity: 0.8 });
  for (const side of SIDES) {
    const end = see(pose, side * 0.21, 0.48, 0.98);
    const low: [number, number] = [(mouth.x + end.x) / 2 + side * 0.01, mouth.y + 0.1];
    paint(canvas, stroke([mouth.x, mouth.y], low, [end.x, end.y], 0.018, 0.008), line, { opacity: 0.85 });
  }
  const figure = polygon(
    [x - w, y - 0.045, x - w * 0.4, y - 0.06, x + w * 0.4, y - 0.06, x + w, y - 0.045, x, y + 0.065],
    0.025,
  );
  paint(canvas, figure, (out, u, v) => {
    out.set(skin);
    illuminate(out, light, ((u - x) / w) * 0.6, ((v - y) / 0.09) * 0.8, 0.5);
  });
  for (const side of SIDES) {
    paint(canvas, ellipse(x + side * w * 0.55, y + 0.012, 0.03, 0.014, side * -0.5), [0.16, 0.07, 0.07], {
      opacity: 0.75,
      soft: 0.02,
    });
  }
}

function drawWhiskers(scene: Scene): void {
  const { canvas, pose, coat, dice } = scene;
  const bright = coat.base[1] < 0.85 || dice.chance(0.5);
  const colour: Colour = bright ? [0.97, 0.97, 0.95] : [0.45, 0.42, 0.4];
  const droop = dice.range(-0.1, 0.2);
  for (const side of SIDES) {
    for (let i = 0; i < 4; i++) {
      const root = see(pose, side * (0.2 + 0.02 * (i % 2)), 0.34 + 0.045 * i, 1.05);
      const reach = dice.range(0.8, 1.05) * Math.max(0.6, root.narrow);
      const rise = (i - 1.4) * 0.17 + droop + dice.range(-0.05, 0.05);
      const middle = [root.x + side * reach * 0.5, root.y + rise * 0.4 - 0.06] as const;
      const tip = [root.x + side * reach, root.y + rise + 0.05] as const;
      paint(canvas, stroke([root.x, root.y], middle, tip, 0.011, 0.004, 6), colour, { opacity: 0.8 });
      paint(canvas, ellipse(root.x - side * 0.02, root.y, 0.012, 0.012), [0.2, 0.15, 0.14], {
        opacity: 0.45,
      });
    }
  }
}

/** A few long hairs above the eyes. */
function drawBrowHairs({ canvas, pose, dice }: Scene, head: Figure): void {
  for (const side of SIDES) {
    for (let i = 0; i < 2; i++) {
      const root = see(pose, side * (0.36 + 0.06 * i), -0.27);
      if (head.shape(root.x, root.y) > -0.05) continue;
      const tip = [root.x + side * dice.range(0.1, 0.3), root.y - dice.range(0.3, 0.5)] as const;
      paint(
        canvas,
        stroke([root.x, root.y], [root.x + side * 0.03, root.y - 0.2], tip, 0.008, 0.003),
        [0.97, 0.97, 0.95],
        { opacity: 0.5 },
      );
    }
  }
}
