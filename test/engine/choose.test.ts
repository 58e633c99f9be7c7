import { describe, expect, test } from 'vitest';
import type { Device } from '../../engine/device/device.ts';
import { type ConvPass, chooseConv } from '../../engine/ops/conv2d/choose.ts';
import { type ConvOptions, convSizes } from '../../engine/ops/conv2d/sizes.ts';
import { variantName, variantNamed } from '../../engine/ops/conv2d/variant.ts';
import { fitsWinograd } from '../../engine/ops/conv2d/winograd.ts';
import { withRecorder } from '../../engine/record/recorder.ts';
import { intermediateTexture } from '../../engine/record/textures.ts';
import { allCases } from '../cases/index.ts';
import { useDevice } from '../device.ts';
import { traceCase } from './traceCase.ts';

const gpu = useDevice();

describe('a 3x3 convolution that nothing is known of', () => {
  const pathOf = (images: number, side: number, channels: number) => {
    const sizes = convSizes([images, side, side, channels], [channels, 3, 3, channels], null, { pad: 1 });
    const untuned = { ...gpu.device, variants: {}, tuning: { best: new Map(), noted: null } };
    return withRecorder(untuned, () => variantName(chooseConv(untuned, sizes, 'forward'))).result;
  };

  test('goes by Winograd where its tiles fill the products', () => {
    expect(pathOf(1, 32, 256)).toBe('winograd/textures');
    expect(pathOf(2, 16, 256)).toBe('winograd/textures');
    expect(pathOf(6, 8, 128)).toBe('winograd/textures');
  });

  test('is gathered where tiles are few, or channels', () => {
    for (const path of [pathOf(1, 16, 256), pathOf(5, 8, 512), pathOf(1, 64, 64)]) {
      expect(path).toMatch(/^gather/);
    }
  });
});

describe('a convolution with few channels on one side', () => {
  type Layer = readonly [images: number, side: number, ci: number, co: number, k: number, ConvOptions];
  const PICTURE: Layer = [2, 64, 64, 3, 7, { pad: 3 }];
  const FEATURES: Layer = [2, 64, 3, 64, 7, { pad: 3 }];
  const DOWN: Layer = [1, 64, 3, 64, 4, { pad: 1, stride: 2 }];
  const LOGITS: Layer = [2, 31, 512, 1, 4, { pad: 1 }];
  const THIN = [PICTURE, FEATURES, DOWN, LOGITS];

  const as = (changes: Partial<Device>): Device => ({
    ...gpu.device,
    ...{ isCpu: false, subgroupSize: 32, variants: {}, tuning: { best: new Map(), noted: new Map() } },
    ...changes,
  });
  const pathOf = (device: Device, [images, side, ci, co, k, options]: Layer, pass: ConvPass = 'forward') => {
    const sizes = convSizes([images, side, side, ci], [co, k, k, ci], null, options);
    return withRecorder(device, () => variantName(chooseConv(device, sizes, pass))).result;
  };
  const pathsOf = (changes: Partial<Device>, pass?: ConvPass) =>
    THIN.map((layer) => pathOf(as(changes), layer, pass));

  test('goes by planes of taps on a GPU, or as a linear layer of its patches where they are few', () => {
    const expected = ['taps', 'taps', 'taps', 'columns'];
    expect(pathsOf({})).toEqual(expected);
    expect(pathsOf({ precision: 'mixed' })).toEqual(expected);
    for (const pass of ['backwardInput', 'backwardWeight'] as const) {
      expect(pathsOf({}, pass)).toEqual(['taps', 'taps', 'taps', 'gather/tiles']);
    }
    // Positions that no quads make up are few or not: patches of all of them are below 64 MiB.
    expect(pathOf(as({}), [1, 91, 64, 1, 4, { pad: 1 }])).toBe('columns');
    expect(pathOf(as({}), [1, 92, 64, 1, 4, { pad: 1 }])).toBe('taps');
  });

  test('is computed otherwise on a processor, with more channels, and where its planes do not fit', () => {
    const others = [
      ...pathsOf({ isCpu: true }),
      ...pathsOf({ isCpu: true, precision: 'mixed' }),
      ...[5, 64].map((co) => pathOf(as({}), [2, 64, 64, co, 7, { pad: 3 }])),
      pathOf(as({}), [2, 64, 3, 6, 7, { pad: 3 }]),
      pathOf(as({}), [1, 257, 64, 3, 7, { pad: 3 }]),
      // 4 * 257 * 257 positions: quads, but no part of them is of a length that suits a product.
      pathOf(as({}), [4, 257, 64, 3, 7, { pad: 3 }]),
      pathOf(as({ maxBinding: 2 ** 20 }), PICTURE),
    ];
    expect(others.filter((path) => !/^gather\/(textures|tiles(\/f16)?)$/.test(path))).toEqual([]);
  });

  test('is tried both ways by the tuner where both are possible, beside tiles', () => {
    const candidatesOn = (changes: Partial<Device>, layer: Layer, pass?: ConvPass) => {
      const device = as(changes);
      pathOf(device, layer, pass);
      return [...device.tuning.noted!.values()].flatMap(({ candidates }) => candidates);
    };
    const tiles = ['', '/small', '/tall', '/large'].map((size) => `gather/tiles${size}`);
    const few: Layer = [2, 32, 64, 1, 4, { pad: 1 }];
    expect(candidatesOn({}, few)).toEqual(['columns', 'taps', ...tiles]);
    expect(candidatesOn({}, few, 'backwardInput')).toEqual(['gather/tiles', 'taps', ...tiles.slice(1)]);
    expect(candidatesOn({}, FEATURES)).toEqual(['taps', ...tiles]);
    expect(candidatesOn({ precision: 'mixed' }, FEATURES)).toEqual(['taps']);
    const onCpu = THIN.flatMap((layer) => candidatesOn({ isCpu: true }, layer)).join(' ');
    expect(onCpu).not.toMatch(/taps|columns/);
  });

  test('takes the path that is forced in every case that names it', () => {
    const kernels = { taps: /conv2d\/(gather|spread)Taps/, columns: /conv2d\/finishColumns/ };
    for (const [variant, kernel] of Object.entries(kernels)) {
      const cases = allCases.filter(({ variants }) => variants?.includes(variant));
      expect(cases.length).toBeGreaterThan(5);
      for (const c of cases) {
        const launches = traceCase({ ...gpu.device, variants: { conv2d: variant } }, c);
        expect(launches.map((launch) => launch.kernel?.name).join(' '), c.name).toMatch(kernel);
      }
    }
  });
});

test('a variant that there is none of is refused by name', () => {
  expect(() => variantNamed('gather/tiles/huge')).toThrow(
    /no variant "gather\/tiles\/huge": known are .*gather\/tiles\/large/,
  );
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
