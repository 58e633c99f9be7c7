import { drawTongue } from './body.ts';
import { type Colour, mix, paint } from './canvas.ts';
import { drawHairs, fineness, furry, illuminate } from './fur.ts';
import { noise, smoothstep } from './noise.ts';
import { type Spot, see } from './pose.ts';
import { type Scene, SIDES } from './scene.ts';
import { blob, ellipse, type Figure, melt, polygon, stroke } from './shapes.ts';

/** The proportions of a dog's muzzle. */
export interface MuzzleBuild {
  /** Where the nose sits, and how far out it stands. */
  readonly noseY: number;
  readonly noseZ: number;
  readonly snout: number;
  /** The mouth is open, and shows the tongue. */
  readonly open: boolean;
}

/** The long muzzle: bridge, lips, open or closed mouth, tongue, and the big nose in front of it all. */
export function drawMuzzle(scene: Scene, build: MuzzleBuild): void {
  const { canvas, coat, pose, light, dice } = scene;
  const nose = see(pose, 0, build.noseY, build.noseZ);
  const root = see(pose, 0, -0.1, 0.95);
  const lip = see(pose, 0, build.noseY + 0.26, build.noseZ - 0.22);
  const w = build.snout;
  if (build.open) drawMouth(scene, lip, w, dice.range(0.24, 0.38), dice.chance(0.75));
  const bridge = polygon(
    [
      root.x - w * 0.5,
      root.y,
      root.x + w * 0.5,
      root.y,
      nose.x + w * 0.55,
      nose.y,
      nose.x - w * 0.55,
      nose.y,
    ],
    0.06,
  );
  const lips = SIDES.map((side) => {
    const half = see(pose, side * w * 0.48, build.noseY + 0.2, build.noseZ - 0.2);
    return ellipse(half.x, half.y, w * 0.66 * Math.max(0.75, half.narrow), 0.225, side * 0.35);
  });
  const plain = melt(0.16, bridge, ...lips, ellipse(nose.x, nose.y + 0.06, w * 0.72, 0.2));
  paint(canvas, shifted(plain, 0, 0.06), [0.07, 0.05, 0.05], { opacity: 0.34, soft: 0.2 });
  const muzzle = furry(plain, lip.x, lip.y, 0.006 + 0.012 * coat.length, coat.seed ^ 8);
  paint(canvas, muzzle, muzzleShade(scene, build, nose, w), { soft: 0.05 });
  drawHairs(canvas, dice, 70, 0.07 + 0.05 * coat.length, (u, v) => {
    const [x, y] = [nose.x + (u * 2 - 1) * w * 1.1, root.y + v * (lip.y + 0.1 - root.y)];
    return plain.shape(x, y) < -0.05 ? [x, y, (x - nose.x) * 1.6, 0.7] : undefined;
  });
  drawLips(scene, nose, lip, w, build.open);
  drawNose(scene, nose, dice, light.x, light.y);
}

const shifted = ({ shape, box }: Figure, dx: number, dy: number): Figure => ({
  shape: (x, y) => shape(x - dx, y - dy),
  box: { x0: box.x0 + dx, y0: box.y0 + dy, x1: box.x1 + dx, y1: box.y1 + dy },
});

/** The coat where it lies on the muzzle, lit as a rounded box that points at the viewer. */
function muzzleShade({ coat, light, canvas }: Scene, build: MuzzleBuild, nose: Spot, w: number) {
  const fine = fineness(canvas);
  return (out: Float64Array, x: number, y: number, d: number) => {
    const u = x - nose.x;
    const v = y - nose.y + build.noseY;
    coat.paint(out, u * 0.85, Math.min(v, 0.9));
    const hair =
      1 + 0.06 * noise(x * 16, y * 7, coat.seed ^ 2) + 0.06 * fine * noise(x * 32, y * 16, coat.seed ^ 4);
    for (let c = 0; c < 3; c++) out[c] *= hair * 1.04;
    illuminate(out, light, (u / w) * 0.75, (y - nose.y - 0.02) * 1.3, smoothstep(0, -w * 0.55, d));
  };
}

/** The inside of an open mouth with the lower jaw below it. */
function drawMouth(scene: Scene, lip: Spot, w: number, gape: number, tongue: boolean): void {
  const { canvas, coat, light } = scene;
  const y = lip.y + 0.02;
  const jaw = ellipse(lip.x, y + gape * 0.62, w * 0.82, gape * 0.74);
  paint(canvas, shifted(jaw, 0, 0.05), [0.06, 0.04, 0.04], { opacity: 0.35, soft: 0.16 });
  const chin = mix(coat.breast, coat.white, 0.2);
  paint(canvas, furry(jaw, lip.x, y, 0.014, coat.seed ^ 12), (out, x, v, d) => {
    out.set(chin);
    const hair = 1 + 0.07 * noise(x * 18, v * 9, coat.seed);
    for (let c = 0; c < 3; c++) out[c] *= hair;
    illuminate(out, light, (x - lip.x) / w, 0.5, smoothstep(0, -0.2, d));
  });
  const inside = ellipse(lip.x, y + gape * 0.42, w * 0.68, gape * 0.6);
  paint(canvas, inside, (out, _x, v) => {
    out.set(mix([0.36, 0.1, 0.12], [0.16, 0.04, 0.05], smoothstep(y + gape, y, v)));
  });
  if (tongue) drawTongue(scene, lip.x, y + gape * 0.3, w * 0.44, gape * scene.dice.range(0.85, 1.5));
  else
    paint(canvas, ellipse(lip.x, y + gape * 0.72, w * 0.5, gape * 0.26), [0.86, 0.45, 0.5], { soft: 0.04 });
}

/** The line under the nose and the two hanging lips. */
function drawLips(scene: Scene, nose: Spot, lip: Spot, w: number, open: boolean): void {
  const { canvas, coat, dice } = scene;
  const line = mix(coat.mark, [0.08, 0.05, 0.05], 0.85);
  paint(canvas, stroke([nose.x, nose.y + 0.12], [nose.x, nose.y + 0.2], [lip.x, lip.y], 0.014), line, {
    opacity: 0.8,
  });
  const smile = open ? 0.02 : dice.range(0.02, 0.09);
  for (const side of SIDES) {
    const end = [lip.x + side * w * 0.98, lip.y - smile - 0.02] as const;
    const low = [lip.x + side * w * 0.5, lip.y + 0.15] as const;
    paint(canvas, stroke([lip.x, lip.y], low, end, 0.022, 0.009), line, { opacity: 0.85 });
    for (let i = 0; i < 5; i++) {
      const [x, y] = [nose.x + side * w * (0.42 + 0.15 * (i % 3)), nose.y + 0.14 + 0.06 * (i >> 1)];
      paint(canvas, ellipse(x, y, 0.012, 0.012), line, { opacity: 0.4 });
    }
  }
}

/** The nose: broad on top, narrow below, wet. */
function drawNose(
  { canvas }: Scene,
  { x, y, narrow }: Spot,
  dice: Scene['dice'],
  lx: number,
  ly: number,
): void {
  const w = dice.bell(0.17, 0.22) * Math.max(0.8, Math.min(1, narrow));
  const skin: Colour = dice.weighted<Colour>([
    [7, [0.11, 0.1, 0.11]],
    [2, [0.3, 0.18, 0.15]],
    [1, [0.62, 0.38, 0.36]],
  ]);
  const figure = noseFigure(x, y, w);
  paint(canvas, figure, (out, u, v, d) => {
    const top = smoothstep(w * 0.5, -w * 0.6, v - y);
    out.set(mix(skin, mix(skin, [0.75, 0.76, 0.8], 0.42), top * smoothstep(-0.01, -0.06, d)));
    const grain = 1 + 0.1 * noise(u * 40, v * 40, 5);
    for (let c = 0; c < 3; c++) out[c] *= grain;
  });
  for (const side of SIDES) {
    const hole = ellipse(x + side * w * 0.48, y + w * 0.12, w * 0.24, w * 0.14, side * 0.5);
    paint(canvas, hole, [0.02, 0.01, 0.01], { opacity: 0.9, soft: 0.02 });
  }
  const shine = ellipse(
    x + lx * w * 0.35,
    y + Math.min(ly, 0) * w * 0.3 - w * 0.1,
    w * 0.3,
    w * 0.12,
    lx * 0.3,
  );
  paint(canvas, shine, [1, 1, 1], { opacity: 0.75, soft: 0.05 });
}

function noseFigure(x: number, y: number, w: number): Figure {
  return blob([
    [x - w * 0.5, y - w * 0.62],
    [x + w * 0.5, y - w * 0.62],
    [x + w, y - w * 0.25],
    [x + w * 0.82, y + w * 0.32],
    [x + w * 0.3, y + w * 0.66],
    [x - w * 0.3, y + w * 0.66],
    [x - w * 0.82, y + w * 0.32],
    [x - w, y - w * 0.25],
  ]);
}
