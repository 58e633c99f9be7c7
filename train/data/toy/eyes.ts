import { blendInto, type Canvas, type Colour, mix, paint } from './canvas.ts';
import type { Light } from './fur.ts';
import { smoothstep } from './noise.ts';
import type { Spot } from './pose.ts';
import { almond, ellipse, type Figure } from './shapes.ts';

export interface Eye {
  readonly iris: Colour;
  /** Half width and half height of the opening. */
  readonly rx: number;
  readonly ry: number;
  /** Turn of the opening, in radians, as seen. */
  readonly angle: number;
  /** Where it looks, in half widths. */
  readonly gazeX: number;
  readonly gazeY: number;
  /** Share of the iris that the pupil takes. */
  readonly pupil: number;
  /** Colour of lids and rim. */
  readonly rim: Colour;
}

const intersect = (a: Figure, b: Figure): Figure => ({
  shape: (x, y) => Math.max(a.shape(x, y), b.shape(x, y)),
  box: a.box,
});

/** The spark that makes an eye alive: where the light mirrors in it, and a weak second one across. */
function drawGlints(canvas: Canvas, opening: Figure, cx: number, cy: number, r: number, light: Light): void {
  const [gx, gy] = [cx + light.x * r * 0.42, cy + light.y * r * 0.42];
  paint(canvas, intersect(ellipse(gx, gy, r * 0.21, r * 0.21), opening), [1, 1, 1], { opacity: 0.95 });
  const far = ellipse(cx - light.x * r * 0.4, cy - light.y * r * 0.4, r * 0.12, r * 0.12);
  paint(canvas, intersect(far, opening), [1, 1, 1], { opacity: 0.35 });
}

/** An iris that is darker at its border and under the upper lid and lighter away from the light. */
function irisShade(iris: Colour, cx: number, cy: number, r: number, light: Light) {
  const rim = mix(iris, [0.05, 0.05, 0.05], 0.65);
  const glow = mix(iris, [1, 1, 0.9], 0.4);
  return (out: Float64Array, x: number, y: number) => {
    const u = (x - cx) / r;
    const v = (y - cy) / r;
    out.set(iris);
    blendInto(out, glow, smoothstep(0.1, 0.9, -(u * light.x + v * light.y)) * 0.7);
    blendInto(out, rim, smoothstep(0.72, 1.02, Math.hypot(u, v)));
    blendInto(out, rim, smoothstep(-0.25, -0.85, v) * 0.55);
  };
}

/** A cat's eye: almond opening that the iris fills, and a pupil that is an upright slit. */
export function drawCatEye(canvas: Canvas, spot: Spot, side: number, eye: Eye, light: Light): void {
  const { x, y } = spot;
  const rx = eye.rx * spot.narrow;
  const lids = almond(x, y, rx * 1.2, eye.ry * 1.12, eye.angle);
  paint(canvas, lids, eye.rim);
  // The dark line that runs from the inner corner to the nose.
  const corner = ellipse(x - side * rx * 1.05, y + eye.ry * 0.5, 0.035, 0.075, side * 0.6);
  paint(canvas, corner, eye.rim, { opacity: 0.7, soft: 0.05 });
  const opening = melted(almond(x, y, rx, eye.ry, eye.angle), ellipse(x, y, rx * 0.82, eye.ry * 0.98));
  const [ix, iy] = [x + eye.gazeX * rx * 0.5, y + eye.gazeY * eye.ry * 0.4];
  const r = Math.max(rx, eye.ry) * 1.04;
  paint(canvas, opening, irisShade(eye.iris, ix, iy, r, light));
  const slit = almond(
    ix,
    iy,
    eye.ry * 0.98,
    Math.max(eye.ry * eye.pupil, 0.02) * spot.narrow,
    Math.PI / 2 + eye.angle * 0.3,
  );
  paint(canvas, intersect(slit, opening), [0.03, 0.03, 0.04]);
  drawGlints(canvas, opening, ix, iy, eye.ry, light);
}

const melted = (a: Figure, b: Figure): Figure => ({
  shape: (x, y) => Math.min(a.shape(x, y), b.shape(x, y)),
  box: a.box,
});

/** A dog's eye: round and mostly iris and pupil, the white showing in the corner it looks away from. */
export function drawDogEye(canvas: Canvas, spot: Spot, side: number, eye: Eye, light: Light): void {
  const { x, y } = spot;
  const rx = eye.rx * spot.narrow;
  paint(canvas, almond(x, y + 0.005, rx * 1.75, eye.ry * 1.3, eye.angle), eye.rim, { soft: 0.02 });
  const opening = melted(almond(x, y, rx * 1.35, eye.ry * 0.98, eye.angle), ellipse(x, y, rx, eye.ry));
  paint(canvas, opening, [0.8, 0.76, 0.72]);
  const [ix, iy] = [x + eye.gazeX * rx * 0.5, y + eye.gazeY * eye.ry * 0.3];
  const ball = intersect(ellipse(ix, iy, rx * 1.02, eye.ry * 1.04), opening);
  paint(canvas, ball, irisShade(eye.iris, ix, iy, eye.ry, light));
  paint(canvas, intersect(ellipse(ix, iy, rx * eye.pupil, eye.ry * eye.pupil), opening), [0.03, 0.02, 0.02]);
  drawGlints(canvas, opening, ix, iy, eye.ry, light);
  // The upper lid, heavier on the outside, gives the gentle look.
  const lid = ellipse(
    x + side * rx * 0.2,
    y - eye.ry * 1.02,
    rx * 1.35,
    eye.ry * 0.3,
    eye.angle + side * 0.12,
  );
  paint(canvas, lid, eye.rim, { opacity: 0.5, soft: 0.05 });
}
