import { createPicture, type Picture } from './picture.ts';

/** Pillow's 8-bit resampling works with weights of 22 fractional bits (libImaging/Resample.c: 32 - 8 - 2). */
const PRECISION_BITS = 22;

/**
 * For each output position: its first tap, how many taps, and the integer weights (`stride` per position).
 */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
}

const tapsBySize = new Map<string, Taps>();

/**
 * The taps of the triangle filter for resizing a row of `from` samples to `to`, as Pillow computes them: when
 * shrinking, the filter widens by the scale, which is what antialiases.
 */
function bilinearTaps(from: number, to: number): Taps {
  const key = `${from}:${to}`;
  const known = tapsBySize.get(key);
  if (known) return known;
  const scale = from / to;
  const support = Math.max(scale, 1);
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * stride);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    const exact: number[] = [];
    let sum = 0;
    for (let x = start; x < end; x++) {
      const distance = Math.abs((x - center + 0.5) * (1 / support));
      exact.push(Math.max(0, 1 - distance));
      sum += exact[x - start];
    }
    first[i] = start;
    count[i] = end - start;
    exact.forEach((w, t) => {
      weights[i * stride + t] = Math.trunc(0.5 + (sum === 0 ? w : w / sum) * (1 << PRECISION_BITS));
    });
  }
  const taps = { first, count, weights, stride };
  if (tapsBySize.size > 256) tapsBySize.clear(); // photos come in many sizes
  tapsBySize.set(key, taps);
  return taps;
}

/**
 * Resizes to `width` x `height` without regard to the aspect ratio, bit for bit as Pillow's antialiased
 * `resize(..., Image.BILINEAR)` on 8-bit RGB: the horizontal pass first, each pass in 22-bit fixed point and
 * rounded to bytes, a pass left out when that size stays. (sharp's kernels differ.) Returns the picture
 * itself when nothing changes.
 */
export function resizeBilinear(picture: Picture, width: number, height: number): Picture {
  let result = picture;
  if (width !== result.width) result = horizontal(result, width);
  if (height !== result.height) result = vertical(result, height);
  return result;
}

// Sums stay below 2^31: the weights add up to 2^22 (give or take rounding), the values are at most 255.
const ROUND = 1 << (PRECISION_BITS - 1);

function horizontal(picture: Picture, width: number): Picture {
  const { first, count, weights, stride } = bilinearTaps(picture.width, width);
  const out = createPicture(width, picture.height);
  const source = picture.data;
  let to = 0;
  for (let y = 0; y < picture.height; y++) {
    const row = y * picture.width * 3;
    for (let x = 0; x < width; x++) {
      let r = ROUND;
      let g = ROUND;
      let b = ROUND;
      let from = row + first[x] * 3;
      const end = x * stride + count[x];
      for (let t = x * stride; t < end; t++, from += 3) {
        const w = weights[t];
        r += w * source[from];
        g += w * source[from + 1];
        b += w * source[from + 2];
      }
      out.data[to++] = clamp(r >> PRECISION_BITS);
      out.data[to++] = clamp(g >> PRECISION_BITS);
      out.data[to++] = clamp(b >> PRECISION_BITS);
    }
  }
  return out;
}

function vertical(picture: Picture, height: number): Picture {
  const { first, count, weights, stride } = bilinearTaps(picture.height, height);
  const out = createPicture(picture.width, height);
  const rowBytes = picture.width * 3;
  const source = picture.data;
  const sums = new Int32Array(rowBytes);
  for (let y = 0; y < height; y++) {
    sums.fill(ROUND);
    for (let t = 0; t < count[y]; t++) {
      const w = weights[y * stride + t];
      const row = (first[y] + t) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] += w * source[row + i];
    }
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) out.data[to + i] = clamp(sums[i] >> PRECISION_BITS);
  }
  return out;
}

const clamp = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);
