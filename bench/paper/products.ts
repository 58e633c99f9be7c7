import { AdawnError } from '../../engine/errors.ts';
import { type Rule, type Site, shapeOf, type TileSize, type Work } from './work.ts';

// Products by tiles in workgroup memory (kernels/lib/tileLoop.wgsl): a workgroup owns ROWS x COLUMNS of the
// result and walks over k in rounds of DEPTH. What it computes beyond the edges costs as much as the rest.

const SIZES: Readonly<Record<string, TileSize>> = { '64x64': 'small', '128x64': 'tall', '128x128': 'large' };

interface Product {
  /** Of the result, in each layer of the grid. */
  readonly rows: number;
  readonly columns: number;
  /** k of each layer. */
  readonly depths: readonly number[];
  /** Operations whose result is kept. */
  readonly useful: number;
}

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

function byTiles(site: Site, { rows, columns, depths, useful }: Product): Partial<Work> {
  const { ROWS, COLUMNS, DEPTH, X_QUADS = 1, W_QUADS = 1, DY_QUADS = 1 } = site.values;
  const size = SIZES[`${ROWS}x${COLUMNS}`];
  if (!size)
    throw new AdawnError(`${site.launch.kernel!.name}: nothing is assumed of tiles of ${ROWS}x${COLUMNS}`);
  const across = Math.ceil(columns / COLUMNS);
  const down = Math.ceil(rows / ROWS);
  const rounds = depths.map((depth) => Math.ceil(depth / DEPTH));
  const all = across * down * sum(rounds);
  const flops = 2 * ROWS * COLUMNS * DEPTH;
  return {
    flops: all * flops,
    useful,
    asked: 4 * (sum(depths) * (rows * across + columns * down) + rows * columns * depths.length),
    rounds: { size, flops, all, longest: Math.max(...rounds), single: 3 - X_QUADS - W_QUADS - DY_QUADS },
  };
}

/** conv2d/tiledRows: rows are positions of a class, k its taps times channels or a split of them. */
export const tiledRows: Rule = (site) => {
  const k = site.values;
  const side = Array.from({ length: k.CLASSES }, (_, i) => i);
  const classes = side.flatMap((y) => side.map((x) => [y, x]));
  const taps = classes.map(([y, x]) => (k.TAPS_Y - Number(y >= k.WHOLE)) * (k.TAPS_X - Number(x >= k.WHOLE)));
  // Of an odd side the last class has one position less.
  const kept = (i: number, out: number, grid: number) => Math.min(grid, Math.ceil((out - i) / k.OUT_STRIDE));
  const useful = classes.map(
    ([y, x], i) => 2 * kept(y, k.OUT_H, k.GRID_H) * kept(x, k.OUT_W, k.GRID_W) * taps[i] * k.IN * k.OUT,
  );
  const depths = Array.from({ length: site.launch.grid[2] }, (_, z) => {
    const first = Math.floor(z / classes.length) * k.SPLIT_DEPTH;
    return Math.min(k.SPLIT_DEPTH, Math.max(0, taps[z % classes.length] * k.PADDED - first));
  });
  return byTiles(site, {
    rows: k.IMAGES * k.GRID_H * k.GRID_W,
    columns: k.OUT,
    depths,
    useful: k.IMAGES * sum(useful),
  });
};

/** conv2d/tiledWeights: rows are output channels, columns taps and input channels, k positions of a split. */
export const tiledWeights: Rule = (site) => {
  const k = site.values;
  const classes = k.CLASSES ** 2;
  const taps = k.TAPS_Y * k.TAPS_X;
  const lines = k.IMAGES * k.GRID_H;
  const depths = Array.from({ length: site.launch.grid[2] }, (_, z) => {
    const first = Math.floor(z / classes) * k.SPLIT_ROWS;
    return Math.min(k.SPLIT_ROWS, lines - first) * k.GRID_W;
  });
  const useful = 2 * classes * lines * k.GRID_W * k.OUT * taps * k.IN;
  return byTiles(site, { rows: k.OUT, columns: 4 * taps * k.IN_QUADS, depths, useful });
};

/** conv2d/winograd/productTiled: a product for each layer. */
export const winogradProduct: Rule = (site) => {
  const [layers, m, n] = shapeOf(site, 3);
  const a = shapeOf(site, 1);
  const k = site.values.LEFT_BY_K ? a[1] : a[2];
  return byTiles(site, {
    rows: m,
    columns: n,
    depths: Array.from({ length: layers }, () => k),
    useful: 2 * layers * m * n * k,
  });
};
