import sharp, { type Create } from 'sharp';
import { DataError } from './errors.ts';

/** Red, green and blue as bytes. */
export type Rgb = readonly [number, number, number];

/**
 * The colour that a user writes as in CSS: a name (white), #rgb, #rrggbb, rgb(...). Throws a DataError for
 * anything else, and for colours that one can see through.
 */
export async function parseColour(text: string): Promise<Rgb> {
  const create = { width: 1, height: 1, channels: 4, background: text } as const;
  // sharp knows the names of CSS.
  const pixel = await decodePixel(create).catch(() => null);
  if (!pixel)
    throw new DataError(`the background "${text}" is no colour: write a name such as white, or #rrggbb`);
  const [red, green, blue, alpha] = pixel;
  if (alpha !== 255)
    throw new DataError(`the background ${text} can be seen through: write an opaque colour`);
  return [red, green, blue];
}

/** Async, so that sharp's complaint about the colour is a rejection. */
async function decodePixel(create: Create): Promise<Uint8Array> {
  return sharp({ create }).raw().toBuffer();
}
