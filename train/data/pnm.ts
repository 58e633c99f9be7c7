import { createPicture, type Picture } from './picture.ts';

/**
 * Decodes portable any-map files (PBM, PGM, PPM; P1 to P6, plain and raw, up to 16 bits). Sharp has no reader
 * for them. Values are scaled to 0..255 by 255/maxval, rounded (Pillow does the same). Throws plain Errors;
 * the caller names the file. Format: https://netpbm.sourceforge.net/doc/ppm.html
 */
export function decodePnm(bytes: Uint8Array, maxPixels: number): Picture {
  const type = bytes[1] - 48; // 1..6: bits, grey, colour; plain first, then raw
  const scanner = { bytes, at: 2 };
  const width = readNumber(scanner);
  const height = readNumber(scanner);
  const bilevel = type === 1 || type === 4;
  const maximum = bilevel ? 1 : readNumber(scanner);
  if (width === 0 || height === 0) throw new Error(`its size is ${width}x${height}`);
  if (width * height > maxPixels) throw new Error('exceeds pixel limit');
  if (maximum < 1 || maximum > 65535) throw new Error(`its largest value is ${maximum}`);
  const channels = type === 3 || type === 6 ? 3 : 1;
  const values = type <= 3 ? readPlain(scanner, width * height * channels, bilevel) : undefined;
  const read = values
    ? (i: number) => values[i]
    : rawReader(scanner, width, height, channels, maximum, bilevel);
  const out = createPicture(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      const value = Math.min(read(channels === 3 ? i * 3 + c : i), maximum);
      // In a bitmap 1 is black; everywhere else the maximum is white.
      out.data[i * 3 + c] = Math.round(((bilevel ? 1 - value : value) * 255) / maximum);
    }
  }
  return out;
}

interface Scanner {
  readonly bytes: Uint8Array;
  at: number;
}

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** The next decimal number; comments run from # to the end of the line. */
function readNumber(scanner: Scanner): number {
  const { bytes } = scanner;
  skipSpace(scanner);
  const start = scanner.at;
  let value = 0;
  while (bytes[scanner.at] >= 48 && bytes[scanner.at] <= 57) value = value * 10 + bytes[scanner.at++] - 48;
  if (scanner.at === start || scanner.at - start > 9)
    throw new Error('a number is missing in its header or data');
  return value;
}

function skipSpace(scanner: Scanner): void {
  const { bytes } = scanner;
  while (scanner.at < bytes.length) {
    if (bytes[scanner.at] === 35) while (scanner.at < bytes.length && bytes[scanner.at] !== 10) scanner.at++;
    else if (isSpace(bytes[scanner.at])) scanner.at++;
    else return;
  }
}

function readPlain(scanner: Scanner, count: number, bilevel: boolean): Uint16Array {
  if (scanner.bytes.length - scanner.at < count) throw new Error('the file is cut short');
  const values = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    if (bilevel) {
      // Plain bitmaps may write their digits without spaces.
      skipSpace(scanner);
      values[i] = scanner.bytes[scanner.at++] - 48;
    } else values[i] = readNumber(scanner);
  }
  return values;
}

function rawReader(
  scanner: Scanner,
  width: number,
  height: number,
  channels: number,
  maximum: number,
  bilevel: boolean,
): (index: number) => number {
  const { bytes } = scanner;
  const start = scanner.at + 1; // exactly one space after the header
  const stride = bilevel ? Math.ceil(width / 8) : width * channels * (maximum > 255 ? 2 : 1);
  if (start + stride * height > bytes.length) throw new Error('the file is cut short');
  if (bilevel) {
    return (i) => {
      const x = i % width;
      return (bytes[start + Math.floor(i / width) * stride + (x >> 3)] >> (7 - (x & 7))) & 1;
    };
  }
  if (maximum > 255) return (i) => (bytes[start + 2 * i] << 8) | bytes[start + 2 * i + 1];
  return (i) => bytes[start + i];
}
