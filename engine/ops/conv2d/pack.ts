import type { Extent } from '../../device/pool.ts';
import { integers } from '../../record/constants.ts';
import { workgroupSize } from '../../record/lanes.ts';
import { memoised } from '../../record/memo.ts';
import { COPY_ROW, copyRegions, grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { Shape } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';
import { intermediateTexture, storedTexture } from '../../record/textures.ts';
import { layerRanges, type Product } from './products.ts';
import { MOST_INDICES } from './quotient.ts';
import { type SigmaGradient, sigmaBindings } from './sigmaGradient.ts';
import type { ConvSizes } from './sizes.ts';

/** Invocations of a workgroup of the copying kernels. */
const WG = 8;

/** Copies dy with its taps as channels, rows of `width` pixels: spreadColumns.wgsl. */
export function spreadColumns(label: string, dy: Tensor, p: Product, width: number): Tensor {
  const [images, height, widthOfDy, channels] = dy.shape;
  const { outQuads, gridH } = p.geometry;
  const extent = { width: width * outQuads, height: gridH, layers: images };
  return storedTexture(extent, label, (rows, rowStep) =>
    launch({
      kernel: 'conv2d/spreadColumns',
      constants: { WG },
      label,
      bind: [
        integers([height, widthOfDy, channels, p.foldsY, p.foldsX, outQuads, width, rowStep]),
        ...[dy, rows],
      ],
      grid: [Math.ceil(width / WG), gridH, images],
    }),
  );
}

/** How weights [CO,K,K,CI] lie in a texture; the fields are those of packWeights.wgsl. */
interface Packing {
  readonly sizes: readonly number[];
  readonly layers: readonly (readonly number[])[];
  readonly extent: Extent;
}

function packingOf(s: ConvSizes, p: Product, inputGradient: boolean): Packing {
  const { K, CI, CO } = s;
  const folds = p.foldsY * p.foldsX;
  const columns = inputGradient ? folds * CI : CI;
  const rows = inputGradient ? CO : folds * CO;
  const ranges = layerRanges(s);
  const rangesY = p.foldsY > 1 ? ranges.slice(0, 1) : ranges;
  const rangesX = p.foldsX > 1 ? ranges.slice(0, 1) : ranges;
  const layers = rangesY.flatMap((y) => rangesX.map((x) => [...y, ...x]));
  return {
    sizes: [columns, rows, CO, K * K * CI, CI, K * CI, CI, CI % 4 === 0 ? 1 : 0],
    layers,
    extent: {
      width: Math.ceil(columns / 4),
      // Both passes may share it, and the input gradient reads whole quads of rows.
      height: 4 * Math.ceil(rows / 4),
      layers: layers.length,
    },
  };
}

/** Extent of the texture `packWeights` makes. */
export function packedExtent(s: ConvSizes, p: Product, inputGradient: boolean): Extent {
  return packingOf(s, p, inputGradient).extent;
}

/** Numbers of a layer from which on a copy of its own costs less than a launch that packs all. */
const WORTH_COPYING = 2 ** 13;

/** Whether layers are single kernel elements, not tiny, with rows in w that the queue can copy. */
function copyable(s: ConvSizes, { layers, extent }: Packing): boolean {
  const { K, CI, CO } = s;
  const plain = layers.length === K * K && layers.every(([y, endY, x, endX]) => endY - y + endX - x === 2);
  const large = CI * CO >= WORTH_COPYING;
  return plain && large && CI % 4 === 0 && extent.height === CO && ((K * K * CI) / 4) % COPY_ROW === 0;
}

function copyLayers(w: Tensor, extent: Extent, { K, CI, CO }: ConvSizes): Tensor {
  const texture = intermediateTexture(extent, 'conv2d packed w');
  const size = { width: CI / 4, height: CO, layers: 1 };
  const taps = Array.from({ length: K * K }, (_, tap) => ({
    ...{ first: (tap * CI) / 4, rowStep: (K * K * CI) / 4, layerRows: CO },
    ...{ at: [0, 0, tap] as const, size },
  }));
  copyRegions(w, texture, 'conv2d.packWeights', taps);
  return texture;
}

/** w [CO,K,K,CI] as layers of rows of output channels with quads of input channels. Once per step. */
export function packWeights(w: Tensor, s: ConvSizes, p: Product, inputGradient: boolean): Tensor {
  const packing = packingOf(s, p, inputGradient);
  const { sizes, layers, extent } = packing;
  return memoised(`conv2d.packWeights ${sizes} ${layers}`, [w], () => {
    if (copyable(s, packing)) return copyLayers(w, extent, s);
    const label = 'conv2d.packWeights';
    return storedTexture(extent, label, (rows, rowStep) =>
      launch({
        kernel: 'conv2d/packWeights',
        label,
        bind: [integers([...sizes, rowStep, extent.height, 0, 0, ...layers.flat()]), w, rows],
        grid: [Math.ceil(extent.width / 8), Math.ceil(extent.height / 8), extent.layers],
      }),
    );
  });
}

/** Where gatherWeights leaves the sums of kernel element (kh, kw): classes and taps, or columns. */
function placesOf(s: ConvSizes, { geometry: g, foldsY, foldsX }: Product, kh: number, kw: number): number[] {
  const taps = g.tapsY * g.tapsX;
  const place = (class_: number, fold: number, tap: number) =>
    ((class_ * 4 * g.outQuads + fold * s.CO) * taps + tap) * 4 * g.inQuads;
  if (foldsY > 1) return [place(0, kh * s.K + kw, 0)];
  if (foldsX > 1) return [place(0, kw, kh)];
  const ranges = layerRanges(s);
  const uses = (k: number) =>
    Array.from({ length: g.classes * g.tapsY }, (_, i) => [Math.floor(i / g.tapsY), i % g.tapsY]).filter(
      ([class_, tap]) => {
        const [start, end] = ranges[g.layerStart + class_ * g.layerClass + tap * g.layerTap];
        return k >= start && k < end;
      },
    );
  return uses(kh).flatMap(([cy, ty]) =>
    uses(kw).map(([cx, tx]) => place(cy * g.classes + cx, 0, ty * g.tapsX + tx)),
  );
}

/**
 * Sums gatherWeights' partial sums [splits, ...] into a gradient of shape [CO,K,K,CI], with the outer
 * products where there are any.
 */
export function unpackWeights(
  partial: Tensor,
  s: ConvSizes,
  p: Product,
  outer: SigmaGradient | null = null,
): Tensor {
  const { geometry: g } = p;
  const { K, CI, CO } = s;
  const [splits, ...rest] = partial.shape;
  const places = Array.from({ length: K * K }, (_, i) => placesOf(s, p, Math.floor(i / K), i % K));
  const rowSize = g.tapsY * g.tapsX * 4 * g.inQuads;
  const splitSize = rest.reduce((a, b) => a * b, 1);
  const dw = intermediate([CO, K, K, CI], 'conv2d dw');
  const quads = CI % 4 === 0 && (CI * CO) / 4 <= MOST_INDICES;
  const [across, down] = grid1d((CI * CO) / 4, 64);
  launch({
    kernel: 'conv2d/unpackWeights',
    entry: quads ? 'quads' : 'main',
    constants: { CALLS: outer?.spectrum.calls ?? 0 },
    label: 'conv2d.unpackWeights',
    bind: [
      integers([CI, CO, splits, splitSize, rowSize, places[0].length, ...places.flat()]),
      partial,
      ...sigmaBindings(outer, partial),
      dw,
    ],
    grid: quads ? [across, down, K * K] : [Math.ceil(CI / 8), Math.ceil(CO / 8), K * K],
  });
  return dw;
}

/** What was done to the picture whose gradient is folded. */
export interface Folding {
  readonly up: number;
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
  const quads = channels % 4 === 0 && stride % 4 === 0;
  // A processor finds the pixels that show one once for all channels; a GPU has an invocation for each.
  const SPREAD = recorder().device.isCpu ? 1 : quads ? channels / 4 : channels;
  const WG = workgroupSize();
  launch({
    kernel: 'conv2d/fold',
    entry: quads ? 'quads' : 'main',
    constants: { ...(SPREAD > 1 ? { SPREAD } : {}), WG },
    label,
    bind: [integers([height, width, channels, up, before, mode, stride]), dp, dx],
    grid: [Math.ceil((width * SPREAD) / WG), height, images],
  });
  return dx;
}
