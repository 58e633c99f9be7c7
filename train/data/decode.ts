import { type FileHandle, open, readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { decodeBmp } from './bmp.ts';
import { DataError, reason } from './errors.ts';
import { createPicture, type Picture } from './picture.ts';
import { decodePnm } from './pnm.ts';
import { SNIFF_BYTES, type Sniffed, sniff } from './sniff.ts';

/**
 * Pictures with more pixels than this are refused before anything is allocated: a few kB of PNG or JPEG can
 * claim gigabytes. The number is Pillow's own limit (Image.MAX_IMAGE_PIXELS, 1 GiB / 4 / 3).
 */
export const MAX_PIXELS = 89_478_485;

export interface DecodeOptions {
  /** Refuse pictures with more pixels than this; default MAX_PIXELS. */
  maxPixels?: number;
}

// Our own threads decode many pictures at once; libvips' cache would keep files that have changed since.
sharp.cache(false);
sharp.concurrency(1);

/**
 * Reads a picture file. Throws DataError with one sentence that names the file when it is no picture, is
 * damaged, cut short or too large.
 */
export async function decodeFile(path: string, options?: DecodeOptions): Promise<Picture> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(`${path} cannot be read: ${reason(error)}`);
  }
  return decodeBytes(bytes, path, options);
}

/**
 * Decodes the bytes of a picture file as Pillow's `convert('RGB')` does: alpha dropped (the colour under it
 * stays), grey replicated, palettes looked up, embedded colour profiles ignored, CMYK by the plain product
 * formula. Two deviations, both wanted: EXIF orientation is applied (Pillow leaves photos of phones lying on
 * their side), and 16-bit values keep their high byte (Pillow clips 16-bit grey to 255, which turns it
 * white). Of animations the first frame. The content decides about the format, not the name; `name` is for
 * messages only.
 */
export async function decodeBytes(
  bytes: Uint8Array,
  name: string,
  options: DecodeOptions = {},
): Promise<Picture> {
  const maxPixels = options.maxPixels ?? MAX_PIXELS;
  const kind = sniff(bytes.subarray(0, SNIFF_BYTES));
  if ('problem' in kind) throw new DataError(`${name} ${kind.problem}; remove or replace it`);
  try {
    if (kind.format === 'bmp') return decodeBmp(bytes, maxPixels);
    if (kind.format === 'pnm') return decodePnm(bytes, maxPixels);
    return await decodeWithSharp(bytes, maxPixels);
  } catch (error) {
    const why = damage(error);
    if (/pixel limit/.test(why)) {
      throw new DataError(`${name} has more than ${maxPixels} pixels, which is refused; scale it down first`);
    }
    throw new DataError(
      `${name} is a damaged ${kind.format.toUpperCase()} picture (${why}); remove or replace it`,
    );
  }
}

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

/** JPEG, PNG, WebP, GIF, TIFF through libvips. */
async function decodeWithSharp(bytes: Uint8Array, maxPixels: number): Promise<Picture> {
  // 'error' takes what Pillow takes: it refuses cut files and bad PNG checksums, and lives with JPEG
  // warnings.
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: maxPixels, ignoreIcc: true });
  const { space } = await image.metadata();
  if (space === 'cmyk') {
    const { data, info } = await image
      .autoOrient()
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw()
      .toBuffer({ resolveWithObject: true });
    return createPicture(info.width, info.height, cmykToRgb(data, info.channels));
  }
  const { data, info } = await image
    .autoOrient()
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return createPicture(info.width, info.height, info.channels === 3 ? data : replicateGrey(data));
}

function replicateGrey(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length * 3);
  for (let i = 0; i < data.length; i++) out.fill(data[i], 3 * i, 3 * i + 3);
  return out;
}

/** Pillow's cmyk2rgb: each channel is (255-k) - (255-k)*c/255, rounded to the nearest. */
function cmykToRgb(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels;
  const out = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const white = 255 - data[i * channels + 3];
    for (let c = 0; c < 3; c++) out[i * 3 + c] = white - Math.round((data[i * channels + c] * white) / 255);
  }
  return out;
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
    return sniff(buffer.subarray(0, bytesRead));
  } catch (error) {
    return { problem: `cannot be read: ${reason(error)}` };
  } finally {
    await file?.close();
  }
}
