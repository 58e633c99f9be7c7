import type { Extent } from '../../device/pool.ts';
import { integers, zeroSource } from '../../record/constants.ts';
import { memoised } from '../../record/memo.ts';
import { COPY_ROW, type CopyRegion, copyRegions, launch } from '../../record/recorder.ts';
import { elements, type Shape } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';
import { copyRow, intermediateTexture, storedTexture } from '../../record/textures.ts';
import { CLAMP, forwardProduct, inputProduct, type Padding, REFLECT, ZERO } from './products.ts';
import type { ConvSizes } from './sizes.ts';

/** Invocations of a workgroup of the padding kernel. */
const WG = 8;

/** Elements of a picture for each copy by the queue, from which on copies cost less than a launch and one. */
const ELEMENTS_A_COPY = 2 ** 12;

/** Extent of the texture `padPicture` makes of a picture [N,H,W,C]. */
export function paddedExtent(images: number, channels: number, { height, width }: Padding): Extent {
  return { width: width * Math.ceil(channels / 4), height, layers: images };
}

/**
 * Padding of x for the forward pass and the weight gradient, which share one texture. Rows of the grid are
 * filled up to whole quads of positions: where dy has zeros, x needs numbers.
 */
export function paddingOfX(s: ConvSizes): Padding {
  const { geometry: g, padding } = forwardProduct(s);
  return { ...padding, width: padding.width + overhang(g.gridW) * g.inStride };
}

/** Columns from a row's end to the next multiple of 4. */
export function overhang(width: number): number {
  return (4 - (width % 4)) % 4;
}

/** Zeros around dy for the gradients of x and w, which share one texture. */
export function paddingOfDy(s: ConvSizes): Padding {
  const { padding: p } = inputProduct(s);
  const { geometry: g, foldsX } = forwardProduct(s);
  const whole = foldsX > 1 ? [0, 0] : [g.gridH, g.gridW + overhang(g.gridW)];
  const height = Math.max(p.height, p.beforeY + whole[0] * g.outStride);
  const width = Math.max(p.width, p.beforeX + whole[1] * g.outStride);
  return { ...p, mode: ZERO, height, width };
}

/** Padded coordinates that show neighbouring ones of the picture, or (`from` -1) zeros. */
interface Run {
  readonly at: number;
  readonly from: number;
  length: number;
}

/** What padded coordinate i shows of a side of `size`, or -1: `padded_source` of kernels/lib/padding.wgsl. */
function sourceOf(i: number, size: number, mode: number): number {
  if (mode === CLAMP) return Math.min(Math.max(i, 0), size - 1);
  const mirrored = Math.abs(i) < size ? Math.abs(i) : 2 * (size - 1) - Math.abs(i);
  const at = mode === REFLECT ? mirrored : i;
  return at < 0 || at >= size ? -1 : at;
}

/** A padded side from its first coordinate to its last. */
function runsOf(before: number, size: number, padded: number, mode: number): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < padded; at++) {
    const from = sourceOf(at - before, size, mode);
    const last = runs[runs.length - 1];
    const next = last && last.from >= 0 ? last.from + last.length : -1;
    if (last && from === next) last.length++;
    else runs.push({ at, from, length: 1 });
  }
  return runs;
}

/** The queue's copies that make a padded picture. */
interface Copies {
  readonly ofPicture: readonly CopyRegion[];
  readonly ofZeros: readonly CopyRegion[];
}

function copiesOf([layers, H, W, C]: Shape, padding: Padding): Copies {
  const { beforeY, beforeX, mode, height, width } = padding;
  const quads = C / 4;
  const rows = runsOf(beforeY, H, height, mode);
  const columns = runsOf(beforeX, W, width, mode);
  const box = (y: Run, x: Run) => {
    const at = [x.at * quads, y.at, 0] as const;
    return { at, size: { width: x.length * quads, height: y.length, layers } };
  };
  const shown = rows.filter((y) => y.from >= 0);
  const ofPicture = shown.flatMap((y) =>
    columns
      .filter((x) => x.from >= 0)
      .map((x) => ({
        ...{ first: (y.from * W + x.from) * quads, rowStep: W * quads, layerRows: H },
        ...box(y, x),
      })),
  );
  const whole: Run = { at: 0, from: -1, length: width };
  const bands = rows.filter((y) => y.from < 0).map((y) => box(y, whole));
  const ends = shown.flatMap((y) => columns.filter((x) => x.from < 0).map((x) => box(y, x)));
  const ofZeros = [...bands, ...ends].map((to) => ({
    ...{ first: 0, rowStep: copyRow(to.size.width), layerRows: to.size.height },
    ...to,
  }));
  return { ofPicture, ofZeros };
}

function copyAll(x: Tensor, texture: Tensor, { ofPicture, ofZeros }: Copies, label: string): Tensor {
  copyRegions(x, texture, label, ofPicture);
  if (ofZeros.length > 0) {
    const sizes = ofZeros.map(({ rowStep, size }) => 4 * rowStep * size.height * size.layers);
    copyRegions(zeroSource(Math.max(...sizes)), texture, label, ofZeros);
  }
  return texture;
}

function storePadded(x: Tensor, extent: Extent, padding: Padding, label: string): Tensor {
  const { up, beforeY, beforeX, mode, height, width } = padding;
  const [images, H, W, C] = x.shape;
  return storedTexture(extent, label, (rows, rowStep) =>
    launch({
      kernel: 'conv2d/padPicture',
      constants: { WG },
      label,
      bind: [integers([H, W, C, up, beforeY, beforeX, mode, rowStep, width]), x, rows],
      grid: [Math.ceil(width / WG), height, images],
    }),
  );
}

/** Copies x [N,H,W,C] into a texture of layers of padded rows. Once per step for all who need it. */
export function padPicture(label: string, x: Tensor, padding: Padding): Tensor {
  const [images, , W, C] = x.shape;
  return memoised(`conv2d.pad ${Object.values(padding)}`, [x], () => {
    const extent = paddedExtent(images, C, padding);
    const aligned = padding.up === 1 && C % 4 === 0 && ((W * C) / 4) % COPY_ROW === 0;
    const copies = aligned ? copiesOf(x.shape, padding) : null;
    const count = copies ? copies.ofPicture.length + copies.ofZeros.length : 0;
    if (copies && count * ELEMENTS_A_COPY <= elements(x.shape)) {
      return copyAll(x, intermediateTexture(extent, label), copies, label);
    }
    return storePadded(x, extent, padding, label);
  });
}
