import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import sharp from 'sharp';
import { makeFolder, systemReason, temporaryPath } from '../formats/file.node.ts';
import { DataError } from './errors.ts';
import type { Picture } from './picture.ts';

/** The picture as the bytes of a PNG file (8-bit RGB). Compresses on a thread of its own. */
export async function encodePng(picture: Picture): Promise<Uint8Array> {
  const { width, height, data } = picture;
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 6 })
    .toBuffer();
}

/**
 * Writes a PNG file, making its folder when missing. The file appears whole or not at all: it is written
 * under a temporary name and renamed, so that a viewer or an interrupted run never sees half a picture.
 */
export async function writePng(path: string, picture: Picture): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await makeFolder(dirname(path));
    await writeFile(temporary, await encodePng(picture));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}); // the first failure is the one to tell
    throw new DataError(`${path} cannot be written: ${systemReason(error)}`);
  }
}
