import sharp, { type Metadata, type Sharp } from 'sharp';
import type { Rgb } from './colour.ts';
import { alone, factorOf, type LargeOptions, shrunk } from './large.ts';
import { createPicture, type Picture } from './picture.ts';

// Our own threads decode many pictures at once; libvips' cache would keep files that have changed since.
sharp.cache(false);
sharp.concurrency(1);

export interface VipsOptions extends LargeOptions {
  readonly maxPixels: number;
  /** What shows through transparent parts; without it alpha is dropped and the colour under it stays. */
  readonly background?: Rgb;
}

/** Decodes JPEG, PNG, WebP, GIF, TIFF, AVIF through libvips. */
export async function decodeWithVips(bytes: Uint8Array, options: VipsOptions): Promise<Picture> {
  // 'error' takes what Pillow takes: it refuses cut files and bad PNG checksums, and lives with JPEG
  // warnings.
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: options.maxPixels, ignoreIcc: true });
  const metadata = await image.metadata();
  if (metadata.width * metadata.height <= options.large) return decodeAs(image, metadata, options.background);
  return alone(async () => {
    const small = reduced(image, metadata, options);
    return shrunk(await decodeAs(small, metadata, options.background), options);
  });
}

async function decodeAs(image: Sharp, metadata: Metadata, background: Rgb | undefined): Promise<Picture> {
  const upright = image.autoOrient();
  if (metadata.space === 'cmyk') {
    const { data, info } = await raw(upright.pipelineColourspace('cmyk').toColourspace('cmyk'));
    return createPicture(info.width, info.height, cmykToRgb(data, info.channels));
  }
  if (background && metadata.hasAlpha) {
    const { data, info } = await raw(upright.ensureAlpha().toColourspace('srgb'));
    return createPicture(info.width, info.height, paint(data, info.channels, background));
  }
  const { data, info } = await raw(upright.removeAlpha().toColourspace('srgb'));
  return createPicture(info.width, info.height, info.channels === 3 ? data : replicateGrey(data));
}

const raw = (image: Sharp) => image.raw().toBuffer({ resolveWithObject: true });

/**
 * Makes a large picture smaller while it is read, so that the whole never lies in memory: the JPEG and WebP
 * decoders skip what is not wanted, others are averaged row by row. Not with alpha: libvips would lose the
 * colours under it.
 */
function reduced(image: Sharp, metadata: Metadata, options: LargeOptions): Sharp {
  const { width, height } = metadata.autoOrient;
  const factor = factorOf(width, height, options);
  if (factor === 1 || metadata.hasAlpha) return image;
  const [smallWidth, smallHeight] = [Math.floor(width / factor), Math.floor(height / factor)];
  return image.resize(smallWidth, smallHeight, { fit: 'fill', kernel: 'linear' });
}

function replicateGrey(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length * 3);
  for (let i = 0; i < data.length; i++) out.fill(data[i], 3 * i, 3 * i + 3);
  return out;
}

/**
 * Lays grey or RGB with alpha (the last of `channels`) over a colour, each value rounded to the nearest. RGB
 * is written where it was read: a large picture is not held twice.
 */
function paint(data: Uint8Array, channels: number, background: Rgb): Uint8Array {
  const pixels = data.length / channels;
  const out = channels === 4 ? data.subarray(0, pixels * 3) : new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const at = i * channels;
    const alpha = data[at + channels - 1];
    for (let c = 0; c < 3; c++) {
      const value = data[channels === 2 ? at : at + c];
      out[i * 3 + c] = Math.round((value * alpha + background[c] * (255 - alpha)) / 255);
    }
  }
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
