/** A random number in [0, 1) for the lattice point (i, j). */
function lattice(i: number, j: number, seed: number): number {
  let h = (Math.imul(i, 0x27d4eb2d) ^ Math.imul(j, 0x165667b1) ^ seed) | 0;
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** Smooth value noise in [-1, 1] with one bump per unit. */
export function noise(x: number, y: number, seed: number): number {
  const i = Math.floor(x);
  const j = Math.floor(y);
  const u = x - i;
  const v = y - j;
  const su = u * u * (3 - 2 * u);
  const sv = v * v * (3 - 2 * v);
  const top = lattice(i, j, seed) * (1 - su) + lattice(i + 1, j, seed) * su;
  const bottom = lattice(i, j + 1, seed) * (1 - su) + lattice(i + 1, j + 1, seed) * su;
  return 2 * (top * (1 - sv) + bottom * sv) - 1;
}

/** Two octaves of noise, in about [-1, 1]. */
export function clouds(x: number, y: number, seed: number): number {
  return 0.66 * noise(x, y, seed) + 0.34 * noise(x * 2.1 + 7, y * 2.1 - 3, seed ^ 0x51ab);
}

/** 0 below `from`, 1 above `to` (or the other way round), smooth between. */
export function smoothstep(from: number, to: number, x: number): number {
  const t = Math.min(1, Math.max(0, (x - from) / (to - from)));
  return t * t * (3 - 2 * t);
}

export const clamp01 = (x: number): number => (x < 0 ? 0 : x > 1 ? 1 : x);
