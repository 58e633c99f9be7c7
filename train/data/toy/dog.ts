import { drawBody, drawCollar } from './body.ts';
import { type Colour, mix, paint, scale } from './canvas.ts';
import { drawDogEye } from './eyes.ts';
import { drawHairs, fineness, furry, headShade, illuminate } from './fur.ts';
import { drawMuzzle, type MuzzleBuild } from './muzzle.ts';
import { noise, smoothstep } from './noise.ts';
import { see } from './pose.ts';
import { type Scene, SIDES } from './scene.ts';
import { blob, ellipse, melt, stroke } from './shapes.ts';

const IRISES: readonly (readonly [number, Colour])[] = [
  [6, [0.36, 0.2, 0.1]],
  [4, [0.22, 0.13, 0.08]],
  [2, [0.6, 0.4, 0.16]],
  [1, [0.5, 0.7, 0.88]],
];

type EarKind = 'hanging' | 'long' | 'folded';

/** The proportions of one dog. */
interface DogBuild extends MuzzleBuild {
  wide: number;
  ears: EarKind;
}

/** Draws a dog's head and shoulders. */
export function drawDog(scene: Scene): void {
  const { dice, canvas, pose } = scene;
  const build: DogBuild = {
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
function drawHangingEar(scene: Scene, build: DogBuild, side: number): void {
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
function drawFoldedEar(scene: Scene, build: DogBuild, side: number): void {
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

function drawHead(scene: Scene, build: DogBuild): void {
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
