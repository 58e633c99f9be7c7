import { intermediate, launch } from '../../recorder.ts';
import type { Shape } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import type { ConvSizes } from '../conv2d.ts';
import { forwardProduct } from './gather.ts';
import { type Geometry, geometryBuffer, NO_EPILOGUE, type Splits } from './geometry.ts';
import { padPicture, unpackWeights, ZERO } from './pack.ts';

/** Rows of a lane, and lanes: the tile of gatherWeights is ROWS * SUBGROUP rows by 32 channels. */
const ROWS = 8;
const SUBGROUP = 8;

/** Workgroups that keep every core of a processor busy to the end. */
const ENOUGH = 8;

/** Cuts the sum over rows of the grid where there are too few tiles for the cores. */
function splitsOf(g: Geometry, tiles: number): Splits {
  const lines = g.images * g.gridH;
  const splitRows = Math.ceil(lines / Math.min(lines, Math.ceil(ENOUGH / tiles)));
  return { splits: Math.ceil(lines / splitRows), splitRows };
}

/** dw, of the shape of w, from x and dy. */
export function gatherBackwardWeight(x: Tensor, dy: Tensor, shape: Shape, s: ConvSizes): Tensor {
  const { geometry: g, padding, taps } = forwardProduct(s);
  // Whole quads of positions: dy is zero beyond the grid, x whatever padding gives there.
  const over = (4 - (g.gridW % 4)) % 4;
  const wide = { ...padding, width: padding.width + over * g.inStride, planar: false };
  const { texture: left, quads: _, ...steps } = padPicture('conv2d.backwardWeight.pad', x, wide);
  const height = g.gridH * g.outStride;
  const width = (g.gridW + over) * g.outStride;
  const zeros = { up: 1, before: 0, mode: ZERO, height, width, planar: false } as const;
  const right = padPicture('conv2d.backwardWeight.padDy', dy, zeros).texture;
  const layers = g.classes * g.classes * g.tapsY * g.tapsX;
  const tilesX = Math.ceil((g.tapsY * g.tapsX * g.inQuads) / ((ROWS / 4) * SUBGROUP));
  const tilesY = Math.ceil(g.outQuads / 8);
  const splits = splitsOf(g, tilesX * tilesY * g.classes * g.classes);
  const partial = intermediate([splits.splits, layers, 4 * g.inQuads, 4 * g.outQuads], 'conv2d partial dw');
  launch({
    kernel: 'conv2d/gatherWeights',
    constants: { ROWS, SUBGROUP },
    label: 'conv2d.backwardWeight',
    bind: [geometryBuffer(g, steps, NO_EPILOGUE, splits), left, right, partial],
    grid: [tilesX, tilesY, splits.splits * g.classes * g.classes],
  });
  return unpackWeights(partial, shape, taps, splits.splits);
}
