import { DataError } from './errors.ts';

/** An 8-bit RGB picture: `data` holds height x width x 3 bytes, row by row from the top (HWC). */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A picture over `data`, or a black one. Throws DataError when sizes do not fit. */
export function createPicture(width: number, height: number, data?: Uint8Array): Picture {
  const pixels = data ?? new Uint8Array(width * height * 3);
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new DataError(`picture: needs a width and a height of at least 1, got ${width}x${height}`);
  }
  if (pixels.length !== width * height * 3) {
    throw new DataError(
      `picture: ${width}x${height} RGB needs ${width * height * 3} bytes, got ${pixels.length}`,
    );
  }
  return { width, height, data: pixels };
}

/**
 * The rectangle of `width` x `height` pixels whose upper left corner is (`left`, `top`); it must lie inside.
 */
export function crop(picture: Picture, left: number, top: number, width: number, height: number): Picture {
  if (left < 0 || top < 0 || left + width > picture.width || top + height > picture.height) {
    throw new DataError(
      `crop: ${width}x${height} at (${left}, ${top}) leaves the picture (${picture.width}x${picture.height})`,
    );
  }
  const out = createPicture(width, height);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 3;
    out.data.set(picture.data.subarray(from, from + width * 3), y * width * 3);
  }
  return out;
}

/** The largest centred square of the picture (the picture itself when it is square already). */
export function cropSquare(picture: Picture): Picture {
  const side = Math.min(picture.width, picture.height);
  if (side === picture.width && side === picture.height) return picture;
  return crop(picture, (picture.width - side) >> 1, (picture.height - side) >> 1, side, side);
}

/** The picture mirrored left to right, as a copy. */
export function flipHorizontal(picture: Picture): Picture {
  const { width, height, data } = picture;
  const out = createPicture(width, height);
  for (let y = 0; y < height; y++) {
    let from = (y * width + width - 1) * 3;
    let to = y * width * 3;
    for (let x = 0; x < width; x++, from -= 3, to += 3) {
      out.data[to] = data[from];
      out.data[to + 1] = data[from + 1];
      out.data[to + 2] = data[from + 2];
    }
  }
  return out;
}
