import type { Picture } from './picture.ts';
import { resizeBilinear } from './resize.ts';

/** When a picture is large, and how much of it is needed. */
export interface LargeOptions {
  /** Pictures with more pixels than this may come smaller than they are. */
  readonly large: number;
  /** The side that the picture will be resized to; without it every picture comes as it is. */
  readonly needed?: number;
}

/**
 * A large picture stays at least so many times as large as needed: from there the last resize gives what it
 * would have given from the whole picture. (Pillow's `reducing_gap` says so of 3.)
 */
const GAP = 3;

/** How many times smaller a picture may come (2, 4 or 8, as the JPEG decoder can), or 1. */
export function factorOf(width: number, height: number, { large, needed }: LargeOptions): number {
  if (needed === undefined || width * height <= large) return 1;
  return [8, 4, 2].find((factor) => Math.min(width, height) >= factor * GAP * needed) ?? 1;
}

/** A picture as small as its use allows, so that the whole one need not be kept. */
export function shrunk(picture: Picture, options: LargeOptions): Picture {
  const { width, height } = picture;
  const factor = factorOf(width, height, options);
  return resizeBilinear(picture, Math.floor(width / factor), Math.floor(height / factor));
}

let last: Promise<unknown> = Promise.resolve();

/** Runs such work one after the other: a large picture takes up to 800 MB while it is decoded. */
export function alone<T>(work: () => Promise<T>): Promise<T> {
  const done = last.then(work);
  last = done.catch(() => {}); // whoever waits for this work is told
  return done;
}
