import {
  fitsTexture,
  intermediate,
  intermediateTexture,
  launch,
  memoised,
  recorder,
} from '../../recorder.ts';
import { integers } from '../../scalar.ts';
import type { Shape } from '../../shape.ts';
import type { Extent, Tensor } from '../../tensor.ts';
import type { AxisTaps, Steps } from './geometry.ts';

/** Invocations of a workgroup of the copying kernels. */
const WG = 8;

export const REFLECT = 0;
export const CLAMP = 1;
export const ZERO = 2;

/** How a picture is padded on its way into a texture. */
export interface Padding {
  readonly up: 1 | 2;
  /** Pixels above and to the left. */
  readonly before: number;
  readonly mode: number;
  readonly height: number;
  readonly width: number;
  /** Neighbours in a row next to each other, for lanes that are pixels; else the channels of a pixel. */
  readonly planar: boolean;
}

/** A picture in a texture, padding written out. */
export interface Padded extends Steps {
  readonly texture: Tensor;
  readonly quads: number;
}

/** Extent of the texture `padPicture` makes. */
export function paddedExtent([images, , , channels]: Shape, padding: Padding): Extent {
  return { width: padding.width * Math.ceil(channels / 4), height: padding.height, layers: images };
}

/** Copies x [N,H,W,C] into a texture [images, padded rows, padded columns and channels]. */
export function padPicture(label: string, x: Tensor, padding: Padding): Padded {
  const [images, height, width, channels] = x.shape;
  const { up, before, mode, planar } = padding;
  const quads = Math.ceil(channels / 4);
  const xStep = planar ? 1 : quads;
  const quadStep = planar ? padding.width : 1;
  const texture = intermediateTexture(paddedExtent(x.shape, padding), label);
  const sizes = integers([height, width, channels, up, before, mode, padding.width, xStep, quadStep]);
  launch({
    kernel: 'conv2d/padPicture',
    constants: { WG },
    label,
    bind: [sizes, x, texture],
    grid: [Math.ceil(padding.width / WG), padding.height, images],
  });
  return { texture, quads, xStep, quadStep };
}

/** Extent of the texture `packWeights` makes. */
export function packedExtent([CO, , , CI]: Shape, taps: AxisTaps, inputGradient: boolean): Extent {
  const [k, n] = inputGradient ? [CO, CI] : [CI, CO];
  const layers = (taps.length * taps[0].length) ** 2;
  return { width: Math.ceil(n / 4), height: 4 * Math.ceil(k / 4), layers };
}

/** w [CO,K,K,CI] as a texture of [class and tap, k, n], the same taps on both axes. Once per step. */
export function packWeights(w: Tensor, taps: AxisTaps, inputGradient: boolean): Tensor {
  const key = `conv2d.packWeights ${inputGradient} ${JSON.stringify(taps)}`;
  return memoised(key, [w], () => {
    const [CO, K, , CI] = w.shape;
    const extent = packedExtent(w.shape, taps, inputGradient);
    const texture = intermediateTexture(extent, 'conv2d packed w');
    const rectangles = taps.flatMap((y) => taps.flatMap((x) => y.flatMap((ty) => x.map((tx) => [ty, tx]))));
    launch({
      kernel: 'conv2d/packWeights',
      label: 'conv2d.packWeights',
      bind: [integers([CI, CO, K, inputGradient ? 1 : 0, ...rectangles.flat(2)]), w, texture],
      grid: [Math.ceil(extent.width / 8), Math.ceil(extent.height / 8), extent.layers],
    });
    return texture;
  });
}

/** Layers, as `packWeights` numbers them, that contain kernel element (kh, kw). */
function layersOf(taps: AxisTaps, kh: number, kw: number): number[] {
  const classes = taps.length;
  const count = taps[0].length;
  const layers: number[] = [];
  taps.forEach((y, cy) => {
    y.forEach(([y0, y1], ty) => {
      taps.forEach((x, cx) => {
        x.forEach(([x0, x1], tx) => {
          const inside = kh >= y0 && kh < y1 && kw >= x0 && kw < x1;
          if (inside) layers.push(((cy * classes + cx) * count + ty) * count + tx);
        });
      });
    });
  });
  return layers;
}

/** Sums gatherWeights' partial sums into a gradient of shape [CO,K,K,CI]. */
export function unpackWeights(partial: Tensor, shape: Shape, taps: AxisTaps, splits: number): Tensor {
  const [CO, K, , CI] = shape;
  const layers = (taps.length * taps[0].length) ** 2;
  const lists = Array.from({ length: K * K }, (_, i) => layersOf(taps, Math.floor(i / K), i % K));
  const sizes = integers([CI, CO, splits, layers, lists[0].length, ...lists.flat()]);
  const dw = intermediate(shape, 'conv2d dw');
  launch({
    kernel: 'conv2d/unpackWeights',
    label: 'conv2d.unpackWeights',
    bind: [sizes, partial, dw],
    grid: [Math.ceil(CI / 8), Math.ceil(CO / 8), K * K],
  });
  return dw;
}

/** What was done to the picture whose gradient is folded. */
export interface Folding {
  readonly up: 1 | 2;
  readonly before: number;
  readonly mode: number;
}

/**
 * Adjoint of padding, upsampling and filling up of channels.
 * @param dp [N, H up + 2 before, W up + 2 before, at least C]
 * @param shape [N,H,W,C]
 */
export function fold(label: string, dp: Tensor, shape: Shape, { up, before, mode }: Folding): Tensor {
  const [images, height, width, channels] = shape;
  const stride = dp.shape[3];
  if (before === 0 && up === 1 && stride === channels) return dp;
  const dx = intermediate(shape, label);
  launch({
    kernel: 'conv2d/fold',
    constants: { WG },
    label,
    bind: [integers([height, width, channels, up, before, mode, stride]), dp, dx],
    grid: [Math.ceil(width / WG), height, images],
  });
  return dx;
}

/** Whether the device has textures of all these extents. */
export function allFit(...extents: Extent[]): boolean {
  const { device } = recorder();
  return extents.every((extent) => fitsTexture(device, extent));
}
