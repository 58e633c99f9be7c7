import { describe, expect, it } from 'vitest';
import { augment, preprocess, toFloat } from '../../train/data/augment.ts';
import { composeGrid, toByte, toPicture } from '../../train/data/grid.ts';
import { heatmapPicture, JET, resizeMap, stretchMap } from '../../train/data/heatmap.ts';
import { createPicture, crop, cropSquare, flipHorizontal, type Picture } from '../../train/data/picture.ts';
import { resizeBilinear } from '../../train/data/resize.ts';
import { hasGolden, type Recorded, readGolden } from './golden.ts';

const golden = hasGolden ? readGolden() : new Map<string, Recorded>();
const get = (name: string): Recorded => golden.get(name)!;
const bytes = (name: string): Uint8Array => get(name).data as Uint8Array;
const asPicture = (name: string): Picture => {
  const [height, width] = get(name).shape;
  return createPicture(width, height, bytes(name));
};
/** BGR to RGB or back. */
const swapChannels = (data: Uint8Array): Uint8Array => data.map((_, i) => data[i - (i % 3) + 2 - (i % 3)]);

describe.skipIf(!hasGolden)('against Pillow and OpenCV (golden/images.safetensors)', () => {
  const all = [...golden.keys()].filter((name) => /^resize\/.*\/src$/.test(name));
  const sizes = hasGolden ? all : ['../shared/golden is absent:']; // a skipped test shows, none does not
  it.each(sizes)('%s resizes exactly', (name) => {
    const want = asPicture(name.replace('/src', '/dst'));
    const got = resizeBilinear(asPicture(name), want.width, want.height);
    expect(got).toEqual(want);
  });

  it('repeats the training pipeline exactly', () => {
    const [top, left] = get('pipeline/top_left').data;
    const draws = [0.2, (top + 0.5) / 31, (left + 0.5) / 31];
    const got = augment(asPicture('pipeline/src'), 32, () => draws.shift()!);
    const want = get('pipeline/x').data; // CHW
    const area = 32 * 32;
    const hwc = got.map((_, i) => want[(i % 3) * area + Math.floor(i / 3)]);
    expect(got).toEqual(hwc);
    expect(got).toEqual(toFloat(asPicture('pipeline/crop')));
  });

  it.each([0, 1, 2, 3])('heat map %i is exact in each stage', (n) => {
    const [height, width] = get(`heatmap/${n}/raw`).shape;
    const raw = get(`heatmap/${n}/raw`).data as Float32Array;
    const size = get(`heatmap/${n}/bgr`).shape[0];
    const stretched = stretchMap(raw);
    expect(stretched).toEqual(bytes(`heatmap/${n}/u8`));
    expect(resizeMap({ width, height, data: stretched }, size, size).data).toEqual(
      bytes(`heatmap/${n}/u8_resized`),
    );
    expect(heatmapPicture(raw, height, width, size).data).toEqual(swapChannels(bytes(`heatmap/${n}/bgr`)));
  });

  it('has the whole JET table', () => {
    expect(JET).toEqual(swapChannels(bytes('heatmap/jet_lut_bgr')));
  });

  it('writes values as the bytes OpenCV writes', () => {
    expect(Uint8Array.from(get('to_u8/x').data as Float32Array, toByte)).toEqual(bytes('to_u8/y'));
  });
});

describe('pictures', () => {
  const ramp = createPicture(5, 3);
  for (let i = 0; i < ramp.data.length; i++) ramp.data[i] = i * 5;

  it('flips, crops, and leaves a picture of the right size alone', () => {
    expect(flipHorizontal(flipHorizontal(ramp))).toEqual(ramp);
    expect([...flipHorizontal(ramp).data.subarray(0, 3)]).toEqual([60, 65, 70]);
    expect(cropSquare(ramp)).toEqual(crop(ramp, 1, 0, 3, 3));
    expect(resizeBilinear(ramp, 5, 3)).toBe(ramp);
    expect(() => crop(ramp, 3, 0, 3, 3)).toThrow('crop: 3x3 at (3, 0) leaves the picture (5x3)');
  });

  it('keeps a constant picture constant in any resize', () => {
    const grey = createPicture(17, 9);
    grey.data.fill(201);
    for (const [w, h] of [
      [1, 1],
      [40, 3],
      [9, 17],
      [17, 90],
    ]) {
      expect(resizeBilinear(grey, w, h).data.every((v) => v === 201)).toBe(true);
    }
  });

  it('paints a constant map dark blue and rejects a wrong size', () => {
    const blue = heatmapPicture(new Float32Array(16).fill(3), 4, 4, 16);
    expect([...blue.data.subarray(0, 3)]).toEqual([0, 0, 128]);
    expect(() => heatmapPicture(new Float32Array(15), 4, 4, 16)).toThrow('needs 16 values, got 15');
  });

  it('turns floats into bytes and back without loss', () => {
    const values = preprocess(ramp, 3);
    expect(Math.min(...values) >= -1 && Math.max(...values) <= 1).toBe(true);
    expect(toPicture(values, 3, 3)).toEqual(resizeBilinear(ramp, 3, 3));
    expect(toPicture(Float32Array.of(-2, Number.NaN, 2), 1, 1).data).toEqual(Uint8Array.of(0, 0, 255));
  });

  it('composes grids, plain and with gaps and labels', () => {
    const plain = composeGrid([[ramp, ramp], [ramp]]);
    expect([plain.width, plain.height]).toEqual([10, 6]);
    expect(crop(plain, 5, 0, 5, 3)).toEqual(ramp);
    expect(crop(plain, 5, 3, 5, 3).data.every((v) => v === 255)).toBe(true);
    const labelled = composeGrid([[ramp]], { gap: 2, columnLabels: ['real'] });
    expect([labelled.width, labelled.height]).toEqual([9, 7 + 13]);
    expect(() => composeGrid([[ramp, plain]])).toThrow('row 0, column 1 is 10x6, the others 5x3');
    expect(() => composeGrid([[]])).toThrow('no picture');
  });
});
