import { DataError } from './errors.ts';
import { createPicture, type Picture } from './picture.ts';

/** A single-channel 8-bit map, row by row. */
export interface ByteMap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * An attention map as the authors paint it: stretched to 0..255, enlarged bilinearly to size x size as OpenCV
 * does, then coloured with OpenCV's JET map (here in RGB order). `map` holds height x width values. A
 * constant map, which is 0/0 in their code, comes out dark blue, as theirs does.
 */
export function heatmapPicture(map: Float32Array, height: number, width: number, size: number): Picture {
  if (map.length !== height * width) {
    throw new DataError(`heat map: ${height}x${width} needs ${height * width} values, got ${map.length}`);
  }
  return applyJet(resizeMap({ width, height, data: stretchMap(map) }, size, size));
}

/**
 * (map - min) / max of that, times 255, truncated to bytes; float32 throughout, NaN becomes 0 (as NumPy
 * does).
 */
export function stretchMap(map: Float32Array): Uint8Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of map) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const range = Math.fround(high - low);
  const out = new Uint8Array(map.length);
  for (let i = 0; i < map.length; i++) {
    const share = Math.fround(Math.fround(map[i] - low) / range);
    const scaled = Math.trunc(Math.fround(255 * share));
    out[i] = Number.isFinite(scaled) ? scaled : 0;
  }
  return out;
}

interface Tap {
  readonly first: number;
  readonly second: number;
  readonly w0: number;
  readonly w1: number;
}

/** OpenCV's fixed-point weights: 11 fractional bits. */
const WEIGHT = 2048;

/** Where output position `d` samples a row of `from`; positions left of the first sample give first = -1. */
function linearTap(d: number, from: number, to: number): Tap {
  const scale = from / to;
  const at = Math.fround((d + 0.5) * scale - 0.5);
  const first = Math.floor(at);
  const fraction = Math.fround(at - first);
  return {
    first,
    second: first + 1,
    w0: roundHalfEven(Math.fround(1 - fraction) * WEIGHT),
    w1: roundHalfEven(fraction * WEIGHT),
  };
}

/** Horizontally OpenCV moves taps outside the row onto its edge sample with full weight. */
function edgeTap(tap: Tap, from: number): Tap {
  if (tap.first < 0) return { first: 0, second: 0, w0: WEIGHT, w1: 0 };
  if (tap.second >= from) return { first: from - 1, second: from - 1, w0: WEIGHT, w1: 0 };
  return tap;
}

/**
 * OpenCV's 8-bit `resize(..., INTER_LINEAR)`, bit for bit, with its curious truncation of the intermediate
 * sums (modules/imgproc/src/resize.cpp, VResizeLinear). Not for an exact halving, where OpenCV switches to
 * area averaging.
 */
export function resizeMap(map: ByteMap, width: number, height: number): ByteMap {
  if (width === map.width && height === map.height) return map;
  const columns = Array.from({ length: width }, (_, x) => edgeTap(linearTap(x, map.width, width), map.width));
  const sums = new Int32Array(map.height * width);
  for (let y = 0; y < map.height; y++) {
    const row = y * map.width;
    columns.forEach((tap, x) => {
      sums[y * width + x] = map.data[row + tap.first] * tap.w0 + map.data[row + tap.second] * tap.w1;
    });
  }
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    // Vertically both rows are clamped but the weights stay.
    const tap = linearTap(y, map.height, height);
    const upper = Math.max(tap.first, 0) * width;
    const lower = Math.min(tap.second, map.height - 1) * width;
    for (let x = 0; x < width; x++) {
      const t0 = (tap.w0 * (sums[upper + x] >> 4)) >> 16;
      const t1 = (tap.w1 * (sums[lower + x] >> 4)) >> 16;
      out[y * width + x] = (t0 + t1 + 2) >> 2;
    }
  }
  return { width, height, data: out };
}

/** The nearest integer, ties to the even one (C's rint, NumPy's round). */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * OpenCV's JET map as 256 x RGB bytes: three trapezoids of slope 4, centred on 3/4 (red), 1/2 (green), 1/4
 * (blue). Its source is a printed table; entry 159 alone is rounded differently there.
 */
export const JET: Uint8Array = makeJet();

function makeJet(): Uint8Array {
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    for (let c = 0; c < 3; c++) {
      const height = 382.5 - Math.abs(4 * i - 255 * (3 - c));
      table[i * 3 + c] = roundHalfEven(Math.min(255, Math.max(0, height)));
    }
  }
  table[159 * 3 + 2] = 1;
  return table;
}

/** Colours an 8-bit map with JET. */
export function applyJet(map: ByteMap): Picture {
  const picture = createPicture(map.width, map.height);
  for (let i = 0; i < map.data.length; i++) {
    picture.data.set(JET.subarray(map.data[i] * 3, map.data[i] * 3 + 3), i * 3);
  }
  return picture;
}
