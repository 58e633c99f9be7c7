import { type FileHandle, open, readFile } from 'node:fs/promises';
import { systemReason } from '../formats/file.node.ts';
import { decodeBmp } from './bmp.ts';
import type { Rgb } from './colour.ts';
import { DataError } from './errors.ts';
import { shrunk } from './large.ts';
import { decodeWithVips } from './libvips.ts';
import type { Picture } from './picture.ts';
import { decodePnm } from './pnm.ts';
import { SNIFF_BYTES, type Sniffed, sniff } from './sniff.ts';

/**
 * Pictures with more pixels than this are refused before anything is allocated: a few kB of PNG or JPEG can
 * claim gigabytes. Phones and cameras make up to 200 megapixels.
 */
export const MAX_PIXELS = 200_000_000;

/**
 * Pictures with more pixels than this are decoded one at a time, and smaller than they are where that is
 * enough. Up to here results are Pillow's to the bit; above, Pillow itself warns (Image.MAX_IMAGE_PIXELS).
 */
const LARGE_PIXELS = 89_478_485;

export interface DecodeOptions {
  /** Refuse pictures with more pixels than this; default MAX_PIXELS. */
  maxPixels?: number;
  /** What shows through transparent parts; default: alpha is dropped, and the colour under it stays. */
  background?: Rgb;
  /** The side that the picture will be resized to: a large picture may come 2, 4 or 8 times smaller. */
  needed?: number;
  /** Pictures with more pixels than this are large; default LARGE_PIXELS. */
  large?: number;
}

/**
 * Reads a picture file. Throws DataError with one sentence that names the file when it is no picture, is
 * damaged, cut short or too large.
 */
export async function decodeFile(path: string, options?: DecodeOptions): Promise<Picture> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(`${path} cannot be read: ${systemReason(error)}`);
  }
  return decodeBytes(bytes, path, options);
}

/**
 * Decodes the bytes of a picture file as Pillow's `convert('RGB')` does: alpha dropped (the colour under it
 * stays), grey replicated, palettes looked up, embedded colour profiles ignored, CMYK by the plain product
 * formula. Two deviations, both wanted: EXIF orientation is applied (Pillow leaves photos of phones lying on
 * their side), and 16-bit values keep their high byte (Pillow clips 16-bit grey to 255, which turns it
 * white). Of animations the first frame. The content decides about the format, not the name, which is for
 * messages (and tells a camera's raw file from the TIFF that it looks like).
 */
export async function decodeBytes(
  bytes: Uint8Array,
  name: string,
  options: DecodeOptions = {},
): Promise<Picture> {
  const { maxPixels = MAX_PIXELS, large = LARGE_PIXELS, background, needed } = options;
  const kind = sniff(bytes.subarray(0, SNIFF_BYTES), name);
  if ('problem' in kind) {
    const advice = kind.foreign ? 'convert it to JPEG or PNG' : 'remove or replace it';
    throw new DataError(`${name} ${kind.problem}; ${advice}`);
  }
  try {
    if (kind.format === 'bmp') return shrunk(decodeBmp(bytes, maxPixels), { large, needed });
    if (kind.format === 'pnm') return shrunk(decodePnm(bytes, maxPixels), { large, needed });
    return await decodeWithVips(bytes, { maxPixels, large, background, needed });
  } catch (error) {
    const why = damage(error);
    if (/pixel limit/.test(why)) {
      throw new DataError(
        `${name} has more than ${pixels(maxPixels)}, which is refused; scale it down first`,
      );
    }
    throw new DataError(
      `${name} is a damaged ${kind.format.toUpperCase()} picture (${why}); remove or replace it`,
    );
  }
}

const pixels = (count: number): string => (count < 1e6 ? `${count} pixels` : `${count / 1e6} megapixels`);

/** What libvips says, without the names of its parts and what it says twice. */
function damage(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error))
    .split('\n')
    .map((line) =>
      line
        .replace(/^Input (buffer|file) has corrupt header:?/, '')
        .replace(/^\s*\w+: /, '')
        .trim(),
    )
    .filter((line) => line !== '' && line !== 'Unknown error');
  return lines.length > 0 ? lines[0] : 'its header or data make no sense';
}

/**
 * A quick look at the first bytes of a file: finds empty files, LFS pointers, web pages and the like without
 * decoding. Never throws; a file that cannot be opened is a problem like another.
 */
export async function probeFile(path: string): Promise<Sniffed> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { buffer, bytesRead } = await file.read(new Uint8Array(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    return sniff(buffer.subarray(0, bytesRead), path);
  } catch (error) {
    return { problem: `cannot be read: ${systemReason(error)}` };
  } finally {
    await file?.close();
  }
}
