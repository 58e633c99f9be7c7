import { recorder } from '../../record/recorder.ts';
import { takes } from '../../record/undecided.ts';

/** Rows and columns of a matrix product that a workgroup owns: kernels/lib/tile.wgsl. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/** What is expected of a tile on a GPU; nobody has measured it. */
interface Expected extends Tile {
  /** Workgroups that fill a core: its registers hold no more. */
  readonly together: number;
  /** Share of the arithmetic that a full core reaches. */
  readonly share: number;
}

const TILES = {
  small: { rows: 64, columns: 64, together: 3, share: 0.48 },
  tall: { rows: 128, columns: 64, together: 2, share: 0.53 },
  large: { rows: 128, columns: 128, together: 1, share: 0.58 },
} as const satisfies Record<string, Expected>;

export type TileName = keyof typeof TILES;

export const TILE_NAMES = Object.keys(TILES) as TileName[];

/** A matrix product, `layers` times over. */
export interface Extents {
  readonly rows: number;
  readonly columns: number;
  readonly layers: number;
}

/** A matrix product whose sum over k may be cut into parts, which workgroups of their own compute. */
export interface LongExtents extends Extents {
  /** The sum, in steps that stay together. */
  readonly steps: number;
  /** k of a step. */
  readonly stepDepth: number;
}

/** How a product is shared by workgroups. */
export interface Cut {
  readonly tile: Tile;
  /** Parts of the sum over k, and the steps of each; the last part may have fewer. */
  readonly splits: number;
  readonly splitSteps: number;
}

/** Cores of a large GPU (H100). */
const CORES = 132;

/** k of a part at least, unless the whole sum is shorter. */
const LEAST_DEPTH = 128;

/**
 * What a part takes besides its products, in k: the first loads, which nothing hides, and its sums, which are
 * written and read again.
 */
const SPLIT_COST = 64;

/** Bytes of all partial sums at most: WebGPU's default limit of a binding is twice as large. */
const MOST_PARTIAL = 2 ** 26;

/** Workgroups of a product. */
export function groupsOf({ rows, columns, layers }: Extents, tile: Tile): [number, number, number] {
  return [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns), layers];
}

/** How long a GPU takes for each k of the workgroups, as many at a time as fill all of its cores. */
function wavesOf(extents: Extents, { together, share, ...tile }: Expected, splits: number): number {
  const [down, across, layers] = groupsOf(extents, tile);
  const waves = Math.ceil((down * across * layers * splits) / (CORES * together));
  return (waves * together * tile.rows * tile.columns) / share;
}

const cheapest = <T>(list: readonly T[], costOf: (item: T) => number): T => {
  const costs = list.map(costOf);
  return list[costs.indexOf(Math.min(...costs))];
};

/** The tiles to choose from; always a small one on a processor, whose registers hold no more. */
function tilesFor(name: TileName | undefined): Expected[] {
  if (name) return [TILES[name]];
  return recorder().device.isCpu ? [TILES.small] : [TILES.large, TILES.tall, TILES.small];
}

/**
 * The tile by which a product fills a GPU for the shortest time. `name` decides instead where it is given.
 */
export function tileFor(extents: Extents, name?: TileName): Tile {
  return cheapest(tilesFor(name), (tile) => wavesOf(extents, tile, 1));
}

/** Steps of a sum in `wanted` parts, or in fewer where they come out even. */
export function splitInto(steps: number, wanted: number): Omit<Cut, 'tile'> {
  const splitSteps = Math.ceil(steps / Math.min(steps, wanted));
  return { splitSteps, splits: Math.ceil(steps / splitSteps) };
}

/** Tile and parts by which a product fills a GPU for the shortest time. */
export function cutFor(extents: LongExtents, name?: TileName): Cut {
  const { rows, columns, layers, steps, stepDepth } = extents;
  const affordable = MOST_PARTIAL / (4 * rows * columns * layers);
  const most = Math.max(1, Math.floor(Math.min(affordable, (steps * stepDepth) / LEAST_DEPTH)));
  const cuts = tilesFor(name).flatMap((tile) =>
    Array.from({ length: most }, (_, i) => ({ tile, ...splitInto(steps, i + 1) })),
  );
  return cheapest(cuts, ({ tile, splits, splitSteps }) => {
    return wavesOf(extents, tile, splits) * (splitSteps * stepDepth + SPLIT_COST);
  });
}

/** Bytes of workgroup memory that a large tile of 16 k takes: kernels/lib/tile.wgsl. */
const DEEP_TILES = 32768;

/** The tile as the kernels' constants name it. */
export function tileConstants({ rows, columns }: Tile) {
  const [TALL, WIDE] = [rows === 128, columns === 128];
  const room = recorder().device.gpu.limits.maxComputeWorkgroupStorageSize >= DEEP_TILES;
  return {
    ...{ TALL, WIDE },
    ...(takes('tileLanes', 'pairs') ? { PAIRS: true } : {}),
    ...(TALL && WIDE && room && takes('tileDepth', 'deep') ? { DEEP: true } : {}),
  };
}
