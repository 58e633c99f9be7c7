import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseColour } from '../../train/data/colour.ts';
import { decodeBytes, decodeFile } from '../../train/data/decode.ts';
import { DataError } from '../../train/data/errors.ts';
import type { Picture } from '../../train/data/picture.ts';
import { encodePng } from '../../train/data/png.ts';
import { resizeBilinear } from '../../train/data/resize.ts';
import { drawToy } from '../../train/data/toy/draw.ts';

interface Expected {
  must: 'decode' | 'reject' | 'decode-or-clear-error' | 'skip';
  width?: number;
  height?: number;
  mean_rgb?: number[];
  probes?: { x: number; y: number; rgb: number[] }[];
}

const formats = fileURLToPath(new URL('../../../shared/data/formats/', import.meta.url));
const present = existsSync(join(formats, 'expected.json'));
const expected: Record<string, Expected> = present
  ? JSON.parse(readFileSync(join(formats, 'expected.json'), 'utf8')).files
  : {};

/** Mean colour of the pixels within `radius` of (x, y), inside the picture. */
function mean(picture: Picture, x = 0, y = 0, radius = Number.POSITIVE_INFINITY): number[] {
  const sum = [0, 0, 0];
  let count = 0;
  for (let v = Math.max(0, y - radius); v <= Math.min(picture.height - 1, y + radius); v++) {
    for (let u = Math.max(0, x - radius); u <= Math.min(picture.width - 1, x + radius); u++, count++) {
      for (let c = 0; c < 3; c++) sum[c] += picture.data[(v * picture.width + u) * 3 + c];
    }
  }
  return sum.map((s) => s / count);
}

function expectNear(got: number[], want: number[], tolerance: number, what: string): void {
  got.forEach((value, c) => {
    expect(Math.abs(value - want[c]), `${what}, channel ${c}: ${value} for ${want[c]}`).toBeLessThanOrEqual(
      tolerance,
    );
  });
}

describe.skipIf(!present)('every file of shared/data/formats', () => {
  const all = Object.keys(expected).filter((name) => expected[name].must !== 'skip');
  const names = present ? all : ['../shared/data/formats is absent']; // a skipped test shows, none does not
  it.each(names)('%s', async (name) => {
    const { must, width, height, mean_rgb, probes = [] } = expected[name];
    const result = await decodeFile(join(formats, name)).catch((error: unknown) => error);
    if (result instanceof Error) {
      expect(must, result.message).not.toBe('decode');
      expect(result).toBeInstanceOf(DataError);
      expect(result.message).toContain(name);
      expect(result.message).not.toContain('\n');
      return;
    }
    expect(must).not.toBe('reject');
    if (!mean_rgb) return; // damaged, and decoded as far as it goes
    const picture = result as Picture;
    expect([picture.width, picture.height]).toEqual([width, height]);
    const lossy = /^jpeg|\.JPG$|lossy\.webp$/.test(name);
    expectNear(mean(picture), mean_rgb, lossy ? 2 : 1, 'mean');
    for (const { x, y, rgb } of probes)
      expectNear(mean(picture, x, y, 1), rgb, lossy ? 10 : 1, `at ${x},${y}`);
  });
});

describe('decoding', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adawn-decode-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** 3x2 pixels with different values everywhere. */
  const pixels = Uint8Array.from({ length: 18 }, (_, i) => (i * 53) % 256);
  const picture: Picture = { width: 3, height: 2, data: pixels };

  it('round-trips PNG, under a name with spaces and other letters too', async () => {
    const path = join(folder, 'Katze und Hünd 猫.png');
    await writeFile(path, await encodePng(picture));
    const got = await decodeFile(path);
    expect([...got.data]).toEqual([...pixels]);
  });

  it('drops alpha and keeps the colour under it, even where nothing shows', async () => {
    const rgba = Buffer.from([10, 200, 30, 0, 40, 50, 60, 128]);
    const bytes = PNG.sync.write({ width: 2, height: 1, data: rgba } as PNG, { colorType: 6 });
    expect([...(await decodeBytes(bytes, 'x')).data]).toEqual([10, 200, 30, 40, 50, 60]);
  });

  it('lays transparent pictures over a background on request', async () => {
    const background = [255, 0, 100] as const;
    const over = async (bytes: Uint8Array) => [...(await decodeBytes(bytes, 'x', { background })).data];
    const png = (colorType: 4 | 6, bitDepth: 8 | 16, data: Buffer) =>
      PNG.sync.write({ width: 2, height: 1, data } as PNG, { colorType, inputColorType: 6, bitDepth });
    const rgba = Buffer.from([10, 200, 30, 0, 40, 50, 60, 128]);
    // (40 * 128 + 255 * 127) / 255 = 147.1, (50 * 128) / 255 = 25.1, (60 * 128 + 100 * 127) / 255 = 79.9
    expect(await over(png(6, 8, rgba))).toEqual([255, 0, 100, 147, 25, 80]);
    const grey = Buffer.from([90, 90, 90, 0, 90, 90, 90, 255]);
    expect(await over(png(4, 8, grey))).toEqual([255, 0, 100, 90, 90, 90]);
    const wide = Uint16Array.from([...rgba].map((value) => value * 257));
    expect(await over(png(6, 16, Buffer.from(wide.buffer)))).toEqual([255, 0, 100, 147, 25, 80]);
    const gif = await sharp(rgba, { raw: { width: 2, height: 1, channels: 4 } })
      .gif()
      .toBuffer();
    expect((await over(gif)).slice(0, 3)).toEqual([255, 0, 100]); // its palette has a transparent colour
    expect(await over(await encodePng(picture))).toEqual([...pixels]);
  });

  it('takes the colours of CSS for a background', async () => {
    expect(await parseColour('white')).toEqual([255, 255, 255]);
    expect(await parseColour('#fc8')).toEqual([255, 204, 136]);
    await expect(parseColour('blurple')).rejects.toThrow(
      'the background "blurple" is no colour: write a name such as white, or #rrggbb',
    );
    await expect(parseColour('#ffffff80')).rejects.toThrow('can be seen through');
    await expect(parseColour('')).rejects.toThrow(DataError);
  });

  it('reads AVIF, and the first frame of what moves', async () => {
    const frames = await sharp(Buffer.alloc(8 * 16 * 3, Uint8Array.of(200, 100, 50)), {
      raw: { width: 8, height: 16, channels: 3, pageHeight: 8 },
    })
      .gif({ delay: [10, 10] })
      .toBuffer();
    const first = await decodeBytes(frames, 'x.gif');
    expect([first.width, first.height]).toEqual([8, 8]);
    const avif = await sharp(first.data, { raw: { width: 8, height: 8, channels: 3 } })
      .avif({ lossless: true })
      .toBuffer();
    expectNear(mean(await decodeBytes(avif, 'x.heic')), [200, 100, 50], 2, 'AVIF');
  });

  it('takes a raw file of a camera for no TIFF, though it begins like one', async () => {
    const tiff = await sharp(pixels, { raw: { width: 3, height: 2, channels: 3 } })
      .tiff()
      .toBuffer();
    expect((await decodeBytes(tiff, 'scan.tif')).width).toBe(3);
    await expect(decodeBytes(tiff, 'DSC_1.NEF')).rejects.toThrow(
      'DSC_1.NEF is a picture of a kind that is not read (raw); convert it to JPEG or PNG',
    );
  });

  it('takes the high byte of 16-bit values', async () => {
    const wide = Uint16Array.of(0x12ff, 0x80ff, 0xff00, 0xffff);
    const png = PNG.sync.write({ width: 1, height: 1, data: Buffer.from(wide.buffer) } as PNG, {
      bitDepth: 16,
      colorType: 6,
    });
    expect([...(await decodeBytes(png, 'x')).data]).toEqual([0x12, 0x80, 0xff]);
  });

  it('refuses more pixels than allowed before decoding', async () => {
    const bytes = await encodePng(picture);
    await expect(decodeBytes(bytes, 'big.png', { maxPixels: 5 })).rejects.toThrow(
      'big.png has more than 5 pixels, which is refused; scale it down first',
    );
    const pnm = Buffer.from('P6 20001 10000 255\n');
    await expect(decodeBytes(pnm, 'big.ppm')).rejects.toThrow(
      'big.ppm has more than 200 megapixels, which is refused; scale it down first',
    );
  });

  it('says what a file is when it is no picture', async () => {
    const tell = (text: string) => decodeBytes(Buffer.from(text), 'f.jpg');
    await expect(tell('')).rejects.toThrow('f.jpg is an empty file; remove or replace it');
    await expect(tell('<html>')).rejects.toThrow('f.jpg is a web page or SVG, not a picture');
    await expect(tell('<svg xmlns="http://www.w3.org/2000/svg"/>')).rejects.toThrow(
      'f.jpg is a picture of a kind that is not read (SVG); convert it to JPEG or PNG',
    );
    await expect(tell('hello')).rejects.toThrow('is a text file');
    await expect(tell('version https://git-lfs.github.com/spec/v1')).rejects.toThrow('git lfs pull');
    await expect(decodeFile(join(folder, 'none.jpg'))).rejects.toThrow(
      /none.jpg cannot be read: no such file or folder$/,
    );
  });

  it('reads every kind of PNM', async () => {
    const ascii = (text: string) =>
      decodeBytes(Buffer.from(text, 'latin1'), 'x.ppm').then((p) => [...p.data]);
    expect(await ascii('P3 # comment\n1 2\n255 1 2 3 4 5 255')).toEqual([1, 2, 3, 4, 5, 255]);
    expect(await ascii('P2 2 1 15 0 15')).toEqual([0, 0, 0, 255, 255, 255]);
    expect(await ascii('P1 2 1 01')).toEqual([255, 255, 255, 0, 0, 0]);
    expect(await ascii('P4 2 1 \x40')).toEqual([255, 255, 255, 0, 0, 0]);
    expect(await ascii('P5 2 1 255 \x07\x08')).toEqual([7, 7, 7, 8, 8, 8]);
    expect(await ascii('P6 1 1 65535 \x07\x07\x08\x08\x09\x09')).toEqual([7, 8, 9]);
    await expect(ascii('P6 2 2 255 \x07')).rejects.toThrow(
      'x.ppm is a damaged PNM picture (the file is cut short)',
    );
  });

  it('reads bitmaps of both row orders and with palettes', async () => {
    const bmp = (bits: number, height: number, palette: number[], rows: number[]) => {
      const b = Buffer.alloc(54 + palette.length + rows.length);
      b.write('BM');
      b.writeUInt32LE(54 + palette.length, 10);
      b.writeUInt32LE(40, 14);
      b.writeInt32LE(2, 18);
      b.writeInt32LE(height, 22);
      b.writeUInt16LE(bits, 28);
      b.writeUInt32LE(palette.length / 4, 46);
      b.set([...palette, ...rows], 54);
      return decodeBytes(b, 'x.bmp').then((p) => [...p.data]);
    };
    const rows = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0];
    expect(await bmp(24, -2, [], rows)).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
    expect(await bmp(24, 2, [], rows)).toEqual([9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4]);
    expect(await bmp(32, 1, [], [1, 2, 3, 0, 4, 5, 6, 0])).toEqual([3, 2, 1, 6, 5, 4]);
    expect(await bmp(1, 1, [1, 2, 3, 0, 4, 5, 6, 0], [0x40, 0, 0, 0])).toEqual([3, 2, 1, 6, 5, 4]);
    await expect(bmp(8, 1, [1, 2, 3, 0], [7, 0, 0, 0])).rejects.toThrow('outside its palette');
    await expect(bmp(16, 1, [], [])).rejects.toThrow('not supported: convert it to PNG');
  });
});

describe('large pictures', () => {
  /** Smooth, so that two ways to make it smaller must agree, and different in each quarter. */
  const drawn = resizeBilinear(drawToy('cat', 3, 64), 401, 302);
  const raw = { raw: { width: 401, height: 302, channels: 3 } } as const;
  const needed = 16;
  const small = async (bytes: Uint8Array, name: string) => {
    const got = await decodeBytes(bytes, name, { large: 1000, needed });
    return { got, final: resizeBilinear(got, needed, needed) };
  };
  const difference = (a: Picture, b: Picture) =>
    a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]), 0) / a.data.length;

  it.each(['jpeg', 'png', 'webp', 'tiff'] as const)(
    'come smaller as %s, and look the same in the end',
    async (kind) => {
      const bytes = await sharp(drawn.data, raw).toFormat(kind, { quality: 95 }).toBuffer();
      const { got, final } = await small(bytes, `x.${kind}`);
      expect([got.width, got.height]).toEqual([100, 75]);
      const whole = resizeBilinear(await decodeBytes(bytes, `x.${kind}`), needed, needed);
      expect(difference(final, whole)).toBeLessThan(1);
      const not = await decodeBytes(bytes, `x.${kind}`, { large: 1000 });
      expect([not.width, not.height]).toEqual([401, 302]); // nobody said how much is needed
    },
  );

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('are turned as EXIF says (%i)', async (orientation) => {
    const bytes = await sharp(drawn.data, raw).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
    const { got, final } = await small(bytes, 'x.jpg');
    expect([got.width, got.height]).toEqual(orientation > 4 ? [75, 100] : [100, 75]);
    expect(difference(final, resizeBilinear(await decodeBytes(bytes, 'x.jpg'), needed, needed))).toBeLessThan(
      1,
    );
  });

  it('keep the colour under alpha, or show the background', async () => {
    const rgba = Buffer.alloc(401 * 302 * 4, Uint8Array.of(10, 200, 30, 0));
    const bytes = await sharp(rgba, { raw: { ...raw.raw, channels: 4 } })
      .png()
      .toBuffer();
    const { got, final } = await small(bytes, 'x.png');
    expect([got.width, ...final.data.subarray(0, 3)]).toEqual([100, 10, 200, 30]);
    const background = [9, 8, 7] as const;
    const painted = await decodeBytes(bytes, 'x.png', { large: 1000, needed, background });
    expect([painted.width, ...painted.data.subarray(0, 3)]).toEqual([100, 9, 8, 7]);
  });

  it('are decoded one at a time', async () => {
    const bytes = await sharp(drawn.data, raw).png().toBuffer();
    let [running, most] = [0, 0];
    const toBuffer = vi.spyOn(sharp.prototype, 'toBuffer').mockImplementation(async function (this: unknown) {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      return { data: Buffer.alloc(3), info: { width: 1, height: 1, channels: 3 } } as never;
    });
    try {
      const all = (large: number) => Promise.all([1, 2, 3].map(() => decodeBytes(bytes, 'x.png', { large })));
      await all(1000);
      expect(most).toBe(1);
      await all(1e6);
      expect(most).toBe(3);
    } finally {
      toBuffer.mockRestore();
    }
  });
});
