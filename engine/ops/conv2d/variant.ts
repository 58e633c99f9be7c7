import { AdawnError } from '../../errors.ts';
import { TILE_NAMES, type TileName } from './tile.ts';

/** One way to compute a pass of a convolution. */
export interface ConvVariant {
  /**
   * Tiles of a fast algorithm (3x3), a linear layer of patches, planes of taps, gathered matrix products, or
   * as defined.
   */
  readonly algorithm: 'winograd' | 'columns' | 'taps' | 'gather' | 'naive';
  /**
   * Of winograd and gather: products read textures and share loads by shuffles (fast on lavapipe), or tiles
   * go through workgroup memory.
   */
  readonly store?: 'textures' | 'tiles';
  /** Of gather by tiles: 16-bit operands, or those of tensor cores. Absent: 32-bit floats. */
  readonly operands?: 'f16' | 'matrix';
  /** Size of the tiles. Absent: what suits each product. */
  readonly tile?: TileName;
  /** Sums are cut as finely as can be, as no device wants them: for tests. */
  readonly cut?: 'finest';
}

/** `gather/tiles/f16/large`: as in `device.variants`, the tuner's cache and reports. */
export const variantName = ({ algorithm, store, operands, tile, cut }: ConvVariant): string =>
  [algorithm, store, operands, tile, cut].filter((part) => part !== undefined).join('/');

/** The variant with each size of tiles. */
export const inSizes = (variant: ConvVariant): ConvVariant[] =>
  TILE_NAMES.map((tile) => ({ ...variant, tile }));

const TEXTURES = { store: 'textures' } as const;
const TILES = { store: 'tiles' } as const;

/** The same products with 32-bit floats, 16-bit operands, and by tensor cores. */
export const GATHER = { algorithm: 'gather', ...TILES } as const satisfies ConvVariant;
export const GATHER_HALF = { ...GATHER, operands: 'f16' } as const satisfies ConvVariant;
export const GATHER_MATRIX = { ...GATHER, operands: 'matrix' } as const satisfies ConvVariant;
export const GATHER_TEXTURES = { algorithm: 'gather', ...TEXTURES } as const satisfies ConvVariant;
export const WINOGRAD = { algorithm: 'winograd', ...TILES } as const satisfies ConvVariant;
export const WINOGRAD_TEXTURES = { algorithm: 'winograd', ...TEXTURES } as const satisfies ConvVariant;

/** All there are, by name. */
const VARIANTS: ReadonlyMap<string, ConvVariant> = new Map(
  [
    ...[WINOGRAD_TEXTURES, WINOGRAD, ...inSizes(WINOGRAD)],
    ...[GATHER_TEXTURES, GATHER, ...inSizes(GATHER), { ...GATHER, cut: 'finest' } as const],
    ...[GATHER_HALF, ...inSizes(GATHER_HALF), GATHER_MATRIX, ...inSizes(GATHER_MATRIX)],
    ...(['columns', 'taps', 'naive'] as const).map((algorithm) => ({ algorithm })),
  ].map((variant) => [variantName(variant), variant]),
);

/** @throws AdawnError for a name that no variant has */
export function variantNamed(name: string): ConvVariant {
  const variant = VARIANTS.get(name);
  if (variant) return variant;
  throw new AdawnError(`conv2d has no variant "${name}": known are ${[...VARIANTS.keys()].join(', ')}`);
}
