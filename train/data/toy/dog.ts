import { drawBody, drawCollar, drawTongue } from './body.ts';
import { type Colour, mix, paint, scale } from './canvas.ts';
import { drawDogEye } from './eyes.ts';
import { drawHairs, fineness, furry, headShade, illuminate } from './fur.ts';
import { noise, smoothstep } from './noise.ts';
import { type Spot, see } from './pose.ts';
import { type Scene, SIDES } from './scene.ts';
import { blob, ellipse, type Figure, melt, polygon, stroke } from './shapes.ts';

const IRISES: readonly (readonly [number, Colour])[] = [
  [6, [0.36, 0.2, 0.1]],
  [4, [0.22, 0.13, 0.08]],
  [2, [0.6, 0.4, 0.16]],
  [1, [0.5, 0.7, 0.88]],
];

type EarKind = 'hanging' | 'long' | 'folded';

/** The proportions of one dog. */
interface Build {
  wide: number;
  /** Where the nose sits, and how far out it stands. */
  noseY: number;
  noseZ: number;
  snout: number;
  ears: EarKind;
  open: boolean;
}

/** Draws a dog's head and shoulders. */
export function drawDog(scene: Scene): void {
  const { dice, canvas, pose } = scene;
  const build: Build = {
    wide: dice.bell(0.64, 0.78),
    noseY: dice.bell(0.3, 0.46),
    noseZ: dice.bell(1.4, 1.7),
    snout: dice.bell(0.29, 0.38),
    ears: dice.weighted([
      [5, 'hanging'],
      [3, 'long'],
      [5, 'folded'],
    ]),
    open: dice.chance(0.55),
  };
  drawBody(scene, 0.95, 0.74);
  drawCollar(scene, 1.15, 0.78);
  canvas.frame = pose;
  const far = pose.yaw > 0 ? 1 : -1;
  const ear = (side: number) =>
    build.ears === 'folded' ? drawFoldedEar(scene, build, side) : drawHangingEar(scene, build, side);
  if (build.ears === 'folded') for (const side of [far, -far]) ear(side);
  else ear(far);
  drawHead(scene, build);
  drawEyes(scene);
  drawMuzzle(scene, build);
  if (build.ears !== 'folded') ear(-far);
}

function spotOf(scene: Scene, x: number, y: number, z?: number): [number, number] {
  const spot = see(scene.pose, x, y, z);
  return [spot.x, spot.y];
}

function earShade(scene: Scene, side: number, top: number, bottom: number) {
  const { coat, light, canvas } = scene;
  const fine = fineness(canvas);
  return (out: Float64Array, x: number, y: number, d: number) => {
    out.set(coat.ear);
    const hair =
      1 + 0.09 * noise(x * 13, y * 4, coat.seed ^ 31) + 0.08 * fine * noise(x * 28, y * 7, coat.seed ^ 32);
    const fold = 1 - 0.22 * smoothstep(bottom, top, y) - 0.12 * smoothstep(-0.06, 0, d);
    for (let c = 0; c < 3; c++) out[c] *= hair * fold;
    illuminate(out, light, side * 0.55, -0.1, smoothstep(0.02, -0.2, d));
  };
}

/** An ear that hangs beside the face, as spaniels', beagles' and retrievers' do. */
function drawHangingEar(scene: Scene, build: Build, side: number): void {
  const { canvas, coat, dice } = scene;
  const long = build.ears === 'long';
  const drop = long ? dice.range(0.75, 1.05) : dice.range(0.15, 0.5);
  const out = long ? dice.range(0, 0.12) : dice.range(0.06, 0.2);
  const w = build.wide + 0.02;
  const raw: [number, number, number][] = [
    [w - 0.34, -0.72, 0.35],
    [w - 0.02, -0.76, 0.25],
    [w + 0.2 + out, -0.42, 0.15],
    [w + 0.28 + out, drop * 0.35, 0.1],
    [w + 0.16 + out * 0.7, drop, 0.15],
    [w - 0.06, drop * 0.92, 0.2],
    [w - 0.12, drop * 0.3, 0.25],
    [w - 0.14, -0.3, 0.35],
  ];
  const points = raw.map(([x, y, z]) => spotOf(scene, side * x, y, z));
  const plain = blob(points);
  const ear = furry(plain, points[0][0], points[0][1], 0.012 + 0.03 * coat.length, coat.seed ^ (40 + side));
  const shadow = blob(points.map(([x, y]) => [x - side * 0.05, y + 0.03] as const));
  paint(canvas, shadow, [0.06, 0.04, 0.04], { opacity: 0.28, soft: 0.14 });
  paint(canvas, ear, earShade(scene, side, -0.75, drop * 0.5));
  drawHairs(canvas, dice, 60, 0.12 + 0.12 * coat.length, (u, v) => {
    const [x, y] = [
      plain.box.x0 + u * (plain.box.x1 - plain.box.x0),
      plain.box.y0 + v * (plain.box.y1 - plain.box.y0),
    ];
    return plain.shape(x, y) < -0.04 ? [x, y, side * 0.15, 1] : undefined;
  });
}

/** An ear that stands half and tips over in front, as terriers' and collies' do. */
function drawFoldedEar(scene: Scene, build: Build, side: number): void {
  const { canvas, coat, dice } = scene;
  const [lift, tipY, tipX] = [dice.range(-1.12, -0.92), dice.range(-0.6, -0.36), dice.range(0.02, 0.3)];
  const w = build.wide;
  const at = (x: number, y: number, z: number) => spotOf(scene, side * x, y, z);
  const stand = blob([
    at(w - 0.42, -0.6, 0.4),
    at(w - 0.34, lift, 0.3),
    at(w + 0.02, lift - 0.02, 0.25),
    at(w + 0.16, -0.55, 0.1),
    at(w, -0.25, 0.2),
  ]);
  const flapPoints = [
    at(w - 0.4, lift + 0.03, 0.34),
    at(w - 0.18, lift - 0.06, 0.32),
    at(w + 0.08, lift + 0.02, 0.28),
    at(w + 0.2 + tipX * 0.6, (lift + tipY) / 2, 0.3),
    at(w + tipX, tipY, 0.4),
    at(w - 0.2 + tipX * 0.4, (lift + tipY) / 2 + 0.06, 0.42),
  ];
  const flap = blob(flapPoints);
  const dark: Colour = scale(coat.ear, 0.72);
  paint(canvas, furry(stand, 0, 0, 0.015, coat.seed ^ 5), (out, x, y) => {
    out.set(mix(coat.base, dark, 0.5));
    const hair = 1 + 0.08 * noise(x * 14, y * 6, coat.seed);
    for (let c = 0; c < 3; c++) out[c] *= hair;
    illuminate(out, scene.light, side * 0.4, -0.4, 0.7);
  });
  const shadow = blob(flapPoints.map(([x, y]) => [x - side * 0.02, y + 0.07] as const));
  paint(canvas, shadow, [0.06, 0.04, 0.04], { opacity: 0.35, soft: 0.1 });
  paint(
    canvas,
    furry(flap, flapPoints[0][0], flapPoints[0][1], 0.01 + 0.02 * coat.length, coat.seed ^ side),
    earShade(scene, side, tipY, lift),
  );
}

function drawHead(scene: Scene, build: Build): void {
  const { canvas, coat, pose, light, dice } = scene;
  const turn = see(pose, 0, 0.3, 0.6);
  const skull = ellipse(turn.x * 0.2, -0.3 + turn.y * 0.08, build.wide, 0.62);
  const cheeks = SIDES.map((side) => {
    const cheek = see(pose, side * 0.32, 0.16, 0.3);
    return ellipse(cheek.x, cheek.y, 0.42, 0.48);
  });
  const jaw = see(pose, 0, 0.55, 0.7);
  const plain = melt(0.3, skull, ...cheeks, ellipse(jaw.x, jaw.y, 0.36, 0.34));
  const head = furry(plain, 0, 0, 0.012 + 0.03 * coat.length, coat.seed);
  paint(canvas, head, headShade(canvas, coat, pose, light));
  drawHairs(canvas, dice, 200, 0.07 + 0.14 * coat.length, (u, v) => {
    const angle = u * 2 * Math.PI;
    const r = 0.3 + 0.7 * Math.sqrt(v);
    const [x, y] = [turn.x * 0.2 + Math.cos(angle) * r * 0.75, -0.05 + Math.sin(angle) * r * 0.85];
    return plain.shape(x, y) < -0.03 ? [x, y, Math.cos(angle) * 0.8, Math.sin(angle) * 0.6 + 0.4] : undefined;
  });
}

function drawEyes(scene: Scene): void {
  const { canvas, coat, pose, light, dice } = scene;
  const iris = dice.weighted(IRISES);
  const r = dice.bell(0.105, 0.145);
  const look = { gazeX: dice.bell(-0.7, 0.7), gazeY: dice.bell(-0.5, 0.5), pupil: dice.range(0.5, 0.66) };
  const rim = mix(coat.mark, [0.07, 0.05, 0.05], 0.8);
  const tilt = dice.range(-0.1, 0.22);
  for (const side of SIDES) {
    const spot = see(pose, side * 0.3, -0.16);
    // The hollow of the eye.
    paint(canvas, ellipse(spot.x, spot.y, r * 2.1, r * 1.9), [0.08, 0.05, 0.04], { opacity: 0.2, soft: 0.2 });
    drawDogEye(canvas, spot, side, { ...look, iris, rx: r, ry: r * 0.98, angle: -side * tilt, rim }, light);
    const brow = see(pose, side * 0.26, -0.4);
    const raised = stroke(
      [brow.x - side * 0.1, brow.y + 0.05],
      [brow.x, brow.y - 0.05],
      [brow.x + side * 0.12, brow.y + 0.04],
      0.04,
      0.015,
    );
    paint(canvas, raised, mix(coat.base, [1, 1, 1], 0.4), { opacity: 0.16, soft: 0.1 });
  }
}

/** The long muzzle: bridge, lips, open or closed mouth, tongue, and the big nose in front of it all. */
function drawMuzzle(scene: Scene, build: Build): void {
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
function muzzleShade({ coat, light, canvas }: Scene, build: Build, nose: Spot, w: number) {
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
  const figure = blob([
    [x - w * 0.5, y - w * 0.62],
    [x + w * 0.5, y - w * 0.62],
    [x + w, y - w * 0.25],
    [x + w * 0.82, y + w * 0.32],
    [x + w * 0.3, y + w * 0.66],
    [x - w * 0.3, y + w * 0.66],
    [x - w * 0.82, y + w * 0.32],
    [x - w, y - w * 0.25],
  ]);
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
