import { describe, expect, test } from 'vitest';
import { chooseConv } from '../../engine/ops/conv2d/choose.ts';
import { fitsWinograd } from '../../engine/ops/conv2d/winograd.ts';
import { convSizes } from '../../engine/ops/conv2d.ts';
import { withRecorder } from '../../engine/record/recorder.ts';
import { intermediateTexture } from '../../engine/record/textures.ts';
import { useDevice } from '../device.ts';

const gpu = useDevice();

describe('a 3x3 convolution that nothing is known of', () => {
  const pathOf = (images: number, side: number, channels: number) => {
    const sizes = convSizes([images, side, side, channels], [channels, 3, 3, channels], null, { pad: 1 });
    const untuned = { ...gpu.device, variants: {}, tuning: { best: new Map(), noted: null } };
    return withRecorder(untuned, () => chooseConv(untuned, sizes)).result;
  };

  test('goes by Winograd where its tiles fill the products', () => {
    expect(pathOf(1, 32, 256)).toBe('winograd');
    expect(pathOf(2, 16, 256)).toBe('winograd');
    expect(pathOf(6, 8, 128)).toBe('winograd');
  });

  test('is gathered where tiles are few, or channels', () => {
    for (const path of [pathOf(1, 16, 256), pathOf(5, 8, 512), pathOf(1, 64, 64)]) {
      expect(path).toMatch(/^gather/);
    }
  });
});

test('Winograd leaves pictures of more pixels than its kernels can number', () => {
  // On buffers, and without the limit that most adapters come to first.
  const device = { ...gpu.device, subgroupSize: 0, maxBinding: 2 ** 32 };
  const fits = (side: number) =>
    fitsWinograd(device, convSizes([1, side, side, 4], [4, 3, 3, 4], null, { pad: 1 }), false);
  expect([2048, 2049].map(fits)).toEqual([true, false]);
});

describe('a row of a texture', () => {
  const widthOf = (width: number) =>
    withRecorder(gpu.device, () => intermediateTexture({ width, height: 2, layers: 1 }).texture?.width)
      .result;

  test('is a cache line longer where rows would share sets of the cache', () => {
    expect([64, 80, 512].map(widthOf)).toEqual([68, 84, 516]);
  });

  test('is as long as asked for where they would not, and where no texture is longer', () => {
    const most = gpu.device.gpu.limits.maxTextureDimension2D;
    expect([16, 48, 63, 68, 100, most].map(widthOf)).toEqual([16, 48, 63, 68, 100, most]);
  });
});
