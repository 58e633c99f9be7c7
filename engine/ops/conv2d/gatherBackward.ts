import { intermediate, launch } from '../../record/recorder.ts';
import type { Shape } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';
import { tileQuads } from './gather.ts';
import { type Geometry, geometryBuffer, NO_EPILOGUE } from './geometry.ts';
import { spreadColumns, unpackWeights } from './pack.ts';
import { overhang, paddingOfDy, paddingOfX, padPicture } from './pad.ts';
import { forwardProduct } from './products.ts';
import { type SigmaGradient, sigmaBindings } from './sigmaGradient.ts';
import type { ConvSizes } from './sizes.ts';

/** Rows of a lane, and lanes: the tile of gatherWeights is ROWS * SUBGROUP rows by 4 * QUADS channels. */
const ROWS = 8;
const SUBGROUP = 8;

/** Workgroups that keep every core of a processor busy to the end. */
const ENOUGH = 8;

/** Calls of spectral norm whose outer products gatherWeights can add. */
const MOST_CALLS = 4;

/** Bytes of both pictures that all tiles of a part read one after the other, out of a core's cache. */
const CACHED = 2 ** 19;

/**
 * Cuts the sum over rows of the grid: into parts that stay in the cache where the pictures outweigh the
 * weights by far, and at least into enough for the cores.
 */
function splitsOf(g: Geometry, tiles: number, width: number): { splits: number; splitRows: number } {
  const lines = g.images * g.gridH;
  const lineBytes = 16 * (g.inStride * width * g.inQuads + g.gridW * g.outStride ** 2 * g.outQuads);
  const partialBytes = 64 * g.classes ** 2 * g.tapsY * g.tapsX * g.inQuads * g.outQuads;
  const affordable = Math.floor((lines * lineBytes) / (2 * partialBytes));
  const local = tiles > 4 ? Math.min(affordable, (lines * lineBytes) / CACHED) : 1;
  const splitRows = Math.ceil(lines / Math.min(lines, Math.ceil(Math.max(local, ENOUGH / tiles))));
  return { splits: Math.ceil(lines / splitRows), splitRows };
}

/** dw, of the shape of w, from x and dy, with the outer products where there are any. */
export function gatherBackwardWeight(
  x: Tensor,
  dy: Tensor,
  shape: Shape,
  s: ConvSizes,
  outer: SigmaGradient | null,
): Tensor {
  const p = forwardProduct(s);
  const { geometry: g } = p;
  const padding = paddingOfX(s);
  const left = padPicture('conv2d.padX', x, padding);
  const folded = p.foldsX > 1;
  const aroundDy = paddingOfDy(s);
  const right = folded
    ? spreadColumns('conv2d.spreadColumns', dy, p, g.gridW + overhang(g.gridW))
    : padPicture('conv2d.padDy', dy, aroundDy);
  const offset = folded ? ([0, 0] as const) : ([aroundDy.beforeY, aroundDy.beforeX] as const);
  const QUADS = tileQuads(g.outQuads);
  const taps = g.tapsY * g.tapsX;
  const tilesX = Math.ceil((taps * g.inQuads) / ((ROWS / 4) * SUBGROUP));
  const tilesY = Math.ceil(g.outQuads / QUADS);
  const classes = g.classes * g.classes;
  const parts = splitsOf(g, tilesX * tilesY * classes, padding.width);
  const { splits } = parts;
  const quads = classes === 1 && !folded && s.CI % 4 === 0 && s.CO % 4 === 0;
  const own = quads && outer && outer.spectrum.calls <= MOST_CALLS ? outer : null;
  const whole = splits === 1 && quads && own === outer;
  const epilogue = { ...NO_EPILOGUE, spectrum: own?.spectrum ?? null };
  const geometry = geometryBuffer(g, { offset, parts, epilogue });
  const dw = intermediate(
    whole ? shape : [splits, classes, 4 * g.outQuads, taps, 4 * g.inQuads],
    'conv2d dw',
  );
  launch({
    kernel: 'conv2d/gatherWeights',
    constants: { ROWS, QUADS, SUBGROUP },
    label: 'conv2d.backwardWeight',
    bind: [geometry, left, right, ...sigmaBindings(own, geometry), dw],
    grid: [tilesX, tilesY, splits * classes],
  });
  return whole ? dw : unpackWeights(dw, s, p, own ? null : outer);
}
