import { createPicture, type Picture } from './picture.ts';

/**
 * Decodes a Windows bitmap: 1, 4, 8 bits with palette, 24 and 32 bits (alpha dropped), rows in either
 * direction. Sharp has no reader for it. Run-length coded and 16-bit bitmaps are refused. Throws plain
 * Errors; the caller names the file. Layout: BITMAPFILEHEADER (14 bytes), BITMAPINFOHEADER or longer, palette
 * of BGR0, rows padded to 4 bytes.
 */
export function decodeBmp(bytes: Uint8Array, maxPixels: number): Picture {
  const header = readHeader(bytes);
  const { width, height, bits, offset, stride } = header;
  if (width * height > maxPixels) throw new Error('exceeds pixel limit');
  if (offset + stride * height > bytes.length) throw new Error('the file is cut short');
  const out = createPicture(width, height);
  for (let y = 0; y < height; y++) {
    const row = offset + (header.topDown ? y : height - 1 - y) * stride;
    const to = y * width * 3;
    if (bits >= 24) copyTrueColour(bytes, row, bits >> 3, out.data, to, width);
    else copyIndexed(bytes, row, header, out.data, to);
  }
  return out;
}

interface Header {
  width: number;
  height: number;
  bits: number;
  /** Where the pixels start, in bytes from the start of the file. */
  offset: number;
  /** Bytes from one row to the next. */
  stride: number;
  topDown: boolean;
  palette: Uint8Array;
}

function readHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 54) throw new Error('the file is cut short');
  const headerSize = view.getUint32(14, true);
  if (headerSize < 40) throw new Error('an OS/2 bitmap, which is not supported: convert it to PNG');
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  const plain = compression === 0 || (compression === 3 && bits === 32 && isBgr(view, headerSize));
  if (!plain || ![1, 4, 8, 24, 32].includes(bits)) {
    throw new Error(
      `${bits} bits with compression ${compression}, which is not supported: convert it to PNG`,
    );
  }
  if (width <= 0 || signedHeight === 0) throw new Error(`its size is ${width}x${signedHeight}`);
  const colours = view.getUint32(46, true) || (bits <= 8 ? 1 << bits : 0);
  return {
    width,
    height: Math.abs(signedHeight),
    bits,
    offset: view.getUint32(10, true),
    stride: Math.ceil((width * bits) / 32) * 4,
    topDown: signedHeight < 0,
    palette: bytes.subarray(14 + headerSize, 14 + headerSize + Math.min(colours, 256) * 4),
  };
}

/** Whether the bit masks of a BI_BITFIELDS bitmap are the usual blue, green, red, alpha bytes. */
function isBgr(view: DataView, headerSize: number): boolean {
  if (headerSize < 52 && view.byteLength < 66) return false;
  const masks = [54, 58, 62].map((at) => view.getUint32(at, true));
  return masks[0] === 0xff0000 && masks[1] === 0xff00 && masks[2] === 0xff;
}

function copyTrueColour(
  bytes: Uint8Array,
  from: number,
  step: number,
  out: Uint8Array,
  to: number,
  width: number,
) {
  for (let x = 0; x < width; x++, from += step, to += 3) {
    out[to] = bytes[from + 2];
    out[to + 1] = bytes[from + 1];
    out[to + 2] = bytes[from];
  }
}

function copyIndexed(bytes: Uint8Array, row: number, header: Header, out: Uint8Array, to: number) {
  const { width, bits, palette } = header;
  const mask = (1 << bits) - 1;
  for (let x = 0; x < width; x++, to += 3) {
    const bit = x * bits;
    const index = (bytes[row + (bit >> 3)] >> (8 - bits - (bit & 7))) & mask;
    if (index * 4 + 3 > palette.length) throw new Error(`colour ${index} is outside its palette`);
    out[to] = palette[index * 4 + 2];
    out[to + 1] = palette[index * 4 + 1];
    out[to + 2] = palette[index * 4];
  }
}
