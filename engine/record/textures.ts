import type { Device } from '../device/device.ts';
import type { Extent } from '../device/pool.ts';
import { COPY_ROW, copyRegions, intermediate, launch, recorder } from './recorder.ts';
import { makeTensor, type Tensor } from './tensor.ts';

// Textures as lavapipe likes them: it reads them two to three times as fast as buffers, but stores to buffers
// and lets the queue copy them ten times as fast as it stores to textures. So no kernel stores texels.

/** Vec4f of a cache line, and of the shortest rows (1 KiB) that get into each other's way. */
const LINE = 4;
const ALIASING = 64;

/**
 * A row's width, one cache line longer where rows would begin in the same few sets of a processor's first
 * cache and drive each other out while lanes read down a column.
 */
function skewed(device: Device, width: number): number {
  const aliasing = width >= ALIASING && width % (4 * LINE) === 0;
  return aliasing && width + LINE <= device.gpu.limits.maxTextureDimension2D ? width + LINE : width;
}

function textured(texture: Extent, label: string): Tensor {
  const { width, height, layers } = texture;
  return makeTensor([layers, height, 4 * width], { label, texture });
}

/**
 * An intermediate of at least width x height x layers vec4f in a storage texture, which lavapipe reads two to
 * three times as fast as a buffer. Its texels can have any old content outside of what was stored: it may be
 * larger, and the memory plan may hand out one larger still, so kernels go by explicit sizes. Check
 * `fitsTexture` first.
 */
export function intermediateTexture({ width, height, layers }: Extent, label = ''): Tensor {
  return textured({ width: skewed(recorder().device, width), height, layers }, label);
}

/** The least step from row to row of a buffer with rows of so many vec4f that the queue can copy. */
export function copyRow(width: number): number {
  return Math.ceil(width / COPY_ROW) * COPY_ROW;
}

/** Copies a buffer [layers, height, rowStep] of vec4f into a texture, of which it fills `extent`. */
function copyWhole(rows: Tensor, rowStep: number, texture: Tensor, extent: Extent, label: string): Tensor {
  const copy = { first: 0, rowStep, layerRows: extent.height, at: [0, 0, 0] as const, size: extent };
  copyRegions(rows, texture, label, [copy]);
  return texture;
}

/**
 * An intermediate texture of what the launches in `store` leave in a buffer [layers, height, rowStep] of
 * vec4f: the queue copies it.
 */
export function storedTexture(
  extent: Extent,
  label: string,
  store: (rows: Tensor, rowStep: number) => void,
): Tensor {
  const { width, height, layers } = extent;
  const texture = intermediateTexture(extent, label);
  const rowStep = copyRow(width);
  const rows = intermediate([layers, height, 4 * rowStep], label);
  store(rows, rowStep);
  return copyWhole(rows, rowStep, texture, extent, label);
}

/**
 * A buffer's vec4f in a texture, the first `width` in its first row and so on, for intermediates that many
 * invocations read. Rows are as long as asked for, since whole layers copy three times as fast as single
 * rows.
 */
export function copyToTexture(x: Tensor, extent: Extent, label: string): Tensor {
  const { width, height, layers } = extent;
  if (width % COPY_ROW === 0) return copyWhole(x, width, textured(extent, label), extent, label);
  return storedTexture(extent, label, (rows, ROW_STEP) =>
    launch({
      kernel: 'lib/spaceRows',
      constants: { WIDTH: width, HEIGHT: height, ROW_STEP },
      label,
      bind: [x, rows],
      grid: [Math.ceil(width / 8), Math.ceil(height / 8), layers],
    }),
  );
}
