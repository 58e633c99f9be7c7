import { createPicture, type Picture } from '../picture.ts';
import { type Box, type Figure, grow } from './shapes.ts';

/** Red, green, blue in 0..1 (sRGB values, as they are written). */
export type Colour = readonly [number, number, number];

/**
 * Writes the colour of a point into `out`; `depth` is the point's signed distance to the edge (negative
 * inside).
 */
export type Shade = (out: Float64Array, x: number, y: number, depth: number) => void;

/** Where a drawing sits in the picture, whose corners are (-1, -1) upper left and (1, 1). */
export interface Frame {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
  /** Clockwise, in radians. */
  readonly roll: number;
}

export const PICTURE_FRAME: Frame = { x: 0, y: 0, scale: 1, roll: 0 };

/** A square picture in the making, in floating point. */
export interface Canvas {
  readonly size: number;
  /** size x size x 3. */
  readonly rgb: Float32Array;
  /** The frame that shapes are given in. */
  frame: Frame;
}

export function createCanvas(size: number): Canvas {
  return { size, rgb: new Float32Array(size * size * 3), frame: PICTURE_FRAME };
}

/** One pixel's side in units of the present frame. */
export function pixelSize({ size, frame }: Canvas): number {
  return 2 / (size * frame.scale);
}

/** Frame to pixel coordinates (pixel centres at .5). */
export function toPixel({ size, frame }: Canvas, x: number, y: number): [number, number] {
  const c = Math.cos(frame.roll) * frame.scale;
  const s = Math.sin(frame.roll) * frame.scale;
  return [((c * x - s * y + frame.x + 1) * size) / 2, ((s * x + c * y + frame.y + 1) * size) / 2];
}

interface PaintOptions {
  /** 0..1; default 1. */
  opacity?: number;
  /** Width over which the edge fades, in units of the frame; at least a pixel is used. Default 0. */
  soft?: number;
}

const colourOut = new Float64Array(3);

/**
 * Paints a figure. Pixels on the edge are covered in proportion to their distance to it, which smooths the
 * outline; `paint` is a colour or a function of the point.
 */
export function paint(
  canvas: Canvas,
  { shape, box }: Figure,
  colour: Colour | Shade,
  { opacity = 1, soft = 0 }: PaintOptions = {},
): void {
  const { size, rgb, frame } = canvas;
  const pixel = pixelSize(canvas);
  const edge = Math.max(pixel, soft);
  const area = pixelBox(canvas, grow(box, edge / 2));
  const c = Math.cos(frame.roll) / frame.scale;
  const s = Math.sin(frame.roll) / frame.scale;
  const shade = typeof colour === 'function' ? colour : undefined;
  if (!shade) colourOut.set(colour as Colour);
  for (let j = area.y0; j < area.y1; j++) {
    const v = (2 * (j + 0.5)) / size - 1 - frame.y;
    for (let i = area.x0; i < area.x1; i++) {
      const u = (2 * (i + 0.5)) / size - 1 - frame.x;
      const x = c * u + s * v;
      const y = c * v - s * u;
      const d = shape(x, y);
      let cover = 0.5 - d / edge;
      if (cover <= 0) continue;
      cover = cover >= 1 ? opacity : cover * opacity;
      shade?.(colourOut, x, y, d);
      const at = (j * size + i) * 3;
      rgb[at] += (colourOut[0] - rgb[at]) * cover;
      rgb[at + 1] += (colourOut[1] - rgb[at + 1]) * cover;
      rgb[at + 2] += (colourOut[2] - rgb[at + 2]) * cover;
    }
  }
}

/** The pixels that a box of the frame can touch. */
function pixelBox(canvas: Canvas, { x0, y0, x1, y1 }: Box): Box {
  const corners = [
    toPixel(canvas, x0, y0),
    toPixel(canvas, x1, y0),
    toPixel(canvas, x0, y1),
    toPixel(canvas, x1, y1),
  ];
  const xs = corners.map((corner) => corner[0]);
  const ys = corners.map((corner) => corner[1]);
  const inside = (value: number) => Math.min(canvas.size, Math.max(0, value));
  return {
    x0: inside(Math.floor(Math.min(...xs))),
    y0: inside(Math.floor(Math.min(...ys))),
    x1: inside(Math.ceil(Math.max(...xs))),
    y1: inside(Math.ceil(Math.max(...ys))),
  };
}

/** The colour drawn so far at a point of the frame (outside the picture: of its nearest pixel). */
export function colourAt(canvas: Canvas, x: number, y: number): [number, number, number] {
  const [px, py] = toPixel(canvas, x, y);
  const last = canvas.size - 1;
  const i = Math.min(last, Math.max(0, Math.floor(px)));
  const j = Math.min(last, Math.max(0, Math.floor(py)));
  const at = (j * canvas.size + i) * 3;
  return [canvas.rgb[at], canvas.rgb[at + 1], canvas.rgb[at + 2]];
}

/** The finished picture, in bytes. */
export function toBytes({ size, rgb }: Canvas): Picture {
  const picture = createPicture(size, size);
  for (let i = 0; i < rgb.length; i++) picture.data[i] = Math.min(255, Math.max(0, rgb[i] * 255 + 0.5));
  return picture;
}

export function mix(a: Colour, b: Colour, t: number): [number, number, number] {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

export function scale(colour: Colour, by: number): [number, number, number] {
  return [colour[0] * by, colour[1] * by, colour[2] * by];
}

/** Writes a + (b - a) t into `out`: `mix` without making an array, for shades. */
export function blend(out: Float64Array, a: ArrayLike<number>, b: ArrayLike<number>, t: number): void {
  for (let c = 0; c < 3; c++) out[c] = a[c] + (b[c] - a[c]) * t;
}

/** Moves `out` towards a colour by t. */
export function blendInto(out: Float64Array, colour: ArrayLike<number>, t: number): void {
  if (t <= 0) return;
  out[0] += (colour[0] - out[0]) * t;
  out[1] += (colour[1] - out[1]) * t;
  out[2] += (colour[2] - out[2]) * t;
}
