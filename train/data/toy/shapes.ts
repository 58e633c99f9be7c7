/**
 * Shapes as signed distance functions: negative inside, positive outside, in the units of the drawing.
 * Formulas after Inigo Quilez, https://iquilezles.org/articles/distfunctions2d/
 */
export type Shape = (x: number, y: number) => number;

/** An upright box that holds a shape. */
export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export interface Figure {
  readonly shape: Shape;
  readonly box: Box;
}

export function grow({ x0, y0, x1, y1 }: Box, by: number): Box {
  return { x0: x0 - by, y0: y0 - by, x1: x1 + by, y1: y1 + by };
}

/** An ellipse around (cx, cy), turned by `angle`. The distance is a close estimate, exact for circles. */
export function ellipse(cx: number, cy: number, rx: number, ry: number, angle = 0): Figure {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  const shape: Shape = (x, y) => {
    const dx = x - cx;
    const dy = y - cy;
    const u = (c * dx + s * dy) / rx;
    const v = (c * dy - s * dx) / ry;
    const k0 = Math.sqrt(u * u + v * v);
    const k1 = Math.sqrt((u * u) / (rx * rx) + (v * v) / (ry * ry));
    return k1 < 1e-6 ? -Math.min(rx, ry) : (k0 * (k0 - 1)) / k1;
  };
  const r = Math.max(rx, ry);
  return { shape, box: { x0: cx - r, y0: cy - r, x1: cx + r, y1: cy + r } };
}

/** Almond between two arcs, `rx` wide and `ry` high to each side, turned by `angle`. */
export function almond(cx: number, cy: number, rx: number, ry: number, angle = 0): Figure {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  const radius = (rx * rx + ry * ry) / (2 * ry);
  const offset = radius - ry;
  const shape: Shape = (x, y) => {
    const dx = x - cx;
    const dy = y - cy;
    const u = c * dx + s * dy;
    const v = Math.abs(c * dy - s * dx);
    return Math.hypot(u, v + offset) - radius;
  };
  const r = Math.max(rx, ry);
  return { shape, box: { x0: cx - r, y0: cy - r, x1: cx + r, y1: cy + r } };
}

/** A polygon of points x0, y0, x1, y1, ..., its corners rounded outwards by `round`. */
export function polygon(points: readonly number[], round = 0): Figure {
  const p = Float64Array.from(points);
  const n = p.length;
  const shape: Shape = (x, y) => {
    let best = Number.POSITIVE_INFINITY;
    let sign = 1;
    for (let i = 0, j = n - 2; i < n; j = i, i += 2) {
      const ex = p[j] - p[i];
      const ey = p[j + 1] - p[i + 1];
      const wx = x - p[i];
      const wy = y - p[i + 1];
      const t = Math.min(1, Math.max(0, (wx * ex + wy * ey) / (ex * ex + ey * ey + 1e-12)));
      const bx = wx - ex * t;
      const by = wy - ey * t;
      best = Math.min(best, bx * bx + by * by);
      const above = y >= p[i + 1];
      const below = y < p[j + 1];
      const left = ex * wy > ey * wx;
      if ((above && below && left) || (!above && !below && !left)) sign = -sign;
    }
    return sign * Math.sqrt(best) - round;
  };
  const xs = p.filter((_, i) => i % 2 === 0);
  const ys = p.filter((_, i) => i % 2 === 1);
  const box = { x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys) };
  return { shape, box: grow(box, round) };
}

/** A closed smooth curve through the points (Catmull and Rom), as a polygon with `steps` edges per point. */
export function blob(points: readonly (readonly [number, number])[], steps = 4): Figure {
  const out: number[] = [];
  const n = points.length;
  for (let i = 0; i < n; i++) {
    const [p0, p1, p2, p3] = [-1, 0, 1, 2].map((o) => points[(i + o + n) % n]);
    for (let k = 0; k < steps; k++) {
      const t = k / steps;
      const at = (c: 0 | 1) =>
        p1[c] +
        0.5 *
          t *
          (p2[c] -
            p0[c] +
            t * (2 * p0[c] - 5 * p1[c] + 4 * p2[c] - p3[c] + t * (3 * (p1[c] - p2[c]) + p3[c] - p0[c])));
      out.push(at(0), at(1));
    }
  }
  return polygon(out);
}

/** The union of figures whose seams are filled smoothly over a width of about `k`. */
export function melt(k: number, ...figures: Figure[]): Figure {
  const [first, ...rest] = figures.map((f) => f.shape);
  const shape: Shape = (x, y) => {
    let d = first(x, y);
    for (const other of rest) {
      const e = other(x, y);
      const h = Math.max(k - Math.abs(d - e), 0) / k;
      d = Math.min(d, e) - (h * h * k) / 4;
    }
    return d;
  };
  const boxes = figures.map((f) => f.box);
  const box = {
    x0: Math.min(...boxes.map((b) => b.x0)),
    y0: Math.min(...boxes.map((b) => b.y0)),
    x1: Math.max(...boxes.map((b) => b.x1)),
    y1: Math.max(...boxes.map((b) => b.y1)),
  };
  return { shape, box: grow(box, k / 4) };
}

/**
 * A bent stroke from (x0, y0) over the control point (xc, yc) to (x1, y1), its half width going from w0 to
 * w1.
 */
export function stroke(
  [x0, y0]: readonly [number, number],
  [xc, yc]: readonly [number, number],
  [x1, y1]: readonly [number, number],
  w0: number,
  w1 = w0,
  pieces = 5,
): Figure {
  const px = new Float64Array(pieces + 1);
  const py = new Float64Array(pieces + 1);
  for (let i = 0; i <= pieces; i++) {
    const t = i / pieces;
    px[i] = (1 - t) * (1 - t) * x0 + 2 * t * (1 - t) * xc + t * t * x1;
    py[i] = (1 - t) * (1 - t) * y0 + 2 * t * (1 - t) * yc + t * t * y1;
  }
  const shape: Shape = (x, y) => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < pieces; i++) {
      const ex = px[i + 1] - px[i];
      const ey = py[i + 1] - py[i];
      const wx = x - px[i];
      const wy = y - py[i];
      const t = Math.min(1, Math.max(0, (wx * ex + wy * ey) / (ex * ex + ey * ey + 1e-12)));
      const dx = wx - ex * t;
      const dy = wy - ey * t;
      const d = Math.sqrt(dx * dx + dy * dy) - (w0 + ((w1 - w0) * (i + t)) / pieces);
      if (d < best) best = d;
    }
    return best;
  };
  const box = { x0: Math.min(...px), y0: Math.min(...py), x1: Math.max(...px), y1: Math.max(...py) };
  return { shape, box: grow(box, Math.max(w0, w1)) };
}
