import { recorder } from '../../record/recorder.ts';
import { takes } from '../../record/undecided.ts';

/** Rows and columns of a matrix product that a workgroup owns: kernels/lib/tile.wgsl. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

const TILES = {
  Small: { rows: 64, columns: 64 },
  Tall: { rows: 128, columns: 64 },
  Large: { rows: 128, columns: 128 },
} as const satisfies Record<string, Tile>;

export type TileName = keyof typeof TILES;

/** A matrix product, `layers` times over. */
export interface Extents {
  readonly rows: number;
  readonly columns: number;
  readonly layers: number;
}

/** Workgroups that a large GPU (H100: 132 cores) can have under way, two a core. */
const FILLS_GPU = 2 * 132;

/** A larger tile may compute this much more beyond the edges than the smallest. */
const WASTE = 1.125;

/** Workgroups of a product. */
export function groupsOf({ rows, columns, layers }: Extents, tile: Tile): [number, number, number] {
  return [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns), layers];
}

const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
const area = (extents: Extents, tile: Tile) => product(groupsOf(extents, tile)) * tile.rows * tile.columns;

/**
 * The largest tile of which a product has enough to fill a GPU, without much work beyond its edges; always a
 * small one on a processor, whose registers hold no more. `name` decides instead where it is given.
 */
export function tileFor(extents: Extents, name?: TileName): Tile {
  if (name) return TILES[name];
  if (recorder().device.isCpu) return TILES.Small;
  const least = area(extents, TILES.Small);
  const larger = [TILES.Large, TILES.Tall].find(
    (tile) => product(groupsOf(extents, tile)) >= FILLS_GPU && area(extents, tile) <= WASTE * least,
  );
  return larger ?? TILES.Small;
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
