import type { Dice } from './random.ts';

/** How a head is held. Angles in radians; positive yaw looks to the picture's right, positive pitch down. */
export interface Pose {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

/** The head is a ball of this radius as far as turning and light are concerned; cheeks reach about 1. */
export const HEAD_RADIUS = 1.12;

export function drawPose(dice: Dice): Pose {
  return {
    yaw: dice.bell(-0.62, 0.62),
    pitch: dice.bell(-0.3, 0.34),
    roll: dice.bell(-0.42, 0.42),
    x: dice.bell(-0.2, 0.2),
    y: dice.bell(-0.08, 0.2),
    scale: dice.bell(0.54, 0.72),
  };
}

/** A point of the turned head, seen from the front: position, and how much things there shrink sideways. */
export interface Spot {
  readonly x: number;
  readonly y: number;
  readonly narrow: number;
}

/**
 * Where the point (x, y, z) of the head is seen; without z, the point of the ball's surface in front of (x,
 * y).
 */
export function see(pose: Pose, x: number, y: number, z = surface(x, y)): Spot {
  const depth = z * Math.cos(pose.yaw) - x * Math.sin(pose.yaw);
  // A face turned by the yaw plus where it sits on the ball; things around the corner never vanish quite.
  const turned = Math.asin(Math.max(-1, Math.min(1, x / HEAD_RADIUS))) * 0.75;
  const narrow = Math.max(0.45, Math.cos(turned + pose.yaw) / Math.cos(turned));
  return {
    x: x * Math.cos(pose.yaw) + z * Math.sin(pose.yaw),
    y: y * Math.cos(pose.pitch) + depth * Math.sin(pose.pitch),
    narrow: Math.min(1.12, narrow),
  };
}

const surface = (x: number, y: number): number =>
  0.85 * Math.sqrt(Math.max(0.04, HEAD_RADIUS * HEAD_RADIUS - x * x - y * y));

/**
 * The inverse of `see` on the ball: which point of the head is seen at (x, y). Written into `out`: x, y, and
 * nz.
 */
export function unsee(pose: Pose, x: number, y: number, out: Float64Array): void {
  const r2 = HEAD_RADIUS * HEAD_RADIUS;
  const d2 = Math.min(x * x + y * y, r2 * 0.98);
  const z = 0.85 * Math.sqrt(r2 - d2);
  const depth = z * Math.cos(pose.pitch) + y * Math.sin(pose.pitch);
  out[1] = y * Math.cos(pose.pitch) - z * Math.sin(pose.pitch);
  out[0] = x * Math.cos(pose.yaw) - depth * Math.sin(pose.yaw);
  out[2] = Math.sqrt(1 - d2 / r2);
}
