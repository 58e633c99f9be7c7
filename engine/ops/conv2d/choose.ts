import { settle } from '../../device/choice.ts';
import type { Device } from '../../device/device.ts';
import { fits } from './algorithms.ts';
import { fitsPatches, prefersColumns } from './columns.ts';
import type { ConvSizes } from './sizes.ts';
import { THIN } from './taps.ts';
import {
  type ConvVariant,
  GATHER,
  GATHER_HALF,
  GATHER_MATRIX,
  GATHER_TEXTURES,
  inSizes,
  variantName,
  variantNamed,
  WINOGRAD,
  WINOGRAD_TEXTURES,
} from './variant.ts';
import { winogradTiles } from './winograd.ts';

const COLUMNS: ConvVariant = { algorithm: 'columns' };
const TAPS: ConvVariant = { algorithm: 'taps' };

/** What a variant is chosen for: the result, or the gradient of x or of w. */
export type ConvPass = 'forward' | 'backwardInput' | 'backwardWeight';

/**
 * With fewer channels the transforms cost what the products save (a step of ch 16 at 96: 1.70 s with, 1.42 s
 * without), and round five times as coarsely: enough to throw a ReLU's switch that PyTorch does not.
 */
const WINOGRAD_CHANNELS = 128;
/**
 * With fewer tiles of 4x4 outputs, over the whole batch, a layer's products do not fill the rows they are
 * computed for: 512 to 512 channels at 8x8 took 18.9 ms so, 5.7 gathered; at 25 tiles both take the same.
 */
const WINOGRAD_TILES = 24;
/**
 * Taps times output positions up to which a layer of few output channels is better a linear one of its
 * patches: planes of so few positions are products of too few workgroups.
 */
const FEW_TAPS = 2 ** 15;

/** Whether a layer that `fitsWinograd` is large enough for it to pay. */
function gainsByWinograd(sizes: ConvSizes): boolean {
  const channels = Math.min(sizes.CI, sizes.CO);
  return channels >= WINOGRAD_CHANNELS && winogradTiles(sizes) >= WINOGRAD_TILES;
}

/** Winograd's tiles as this device multiplies them best; null where it cannot compute a layer so. */
function winogradHere(device: Device, sizes: ConvSizes): ConvVariant | null {
  if (device.isCpu && fits(device, sizes, WINOGRAD_TEXTURES)) return WINOGRAD_TEXTURES;
  return fits(device, sizes, WINOGRAD) ? WINOGRAD : null;
}

/** Gathered products as this device multiplies them best. */
const gatherHere = (device: Device, sizes: ConvSizes): ConvVariant =>
  fits(device, sizes, GATHER_TEXTURES) ? GATHER_TEXTURES : GATHER;

/** Variants for a layer of which tiles on a GPU would mostly compute nothing, the preferred one first. */
function thinVariants(device: Device, s: ConvSizes, pass: ConvPass): ConvVariant[] {
  if (device.isCpu) return [];
  const taps = fits(device, s, TAPS) ? [TAPS] : [];
  if (s.CO > THIN || !fitsPatches(s)) return taps;
  // The way back through patches writes all of them out again, which tiles need not.
  const patches = pass === 'forward' ? COLUMNS : GATHER;
  const few = s.N * s.OH * s.OW * s.K * s.K <= FEW_TAPS;
  return few ? [patches, ...taps] : [...taps, patches];
}

/** The fastest variant that can compute a layer, by what is known without measuring. */
function preferredVariant(device: Device, sizes: ConvSizes, pass: ConvPass): ConvVariant {
  // Bound by memory, not by multiplying: in 16 bits it would gain nothing.
  if (prefersColumns(sizes)) return COLUMNS;
  const [thin] = thinVariants(device, sizes, pass);
  if (thin) return thin;
  if (device.precision === 'mixed') return GATHER_HALF;
  const winograd = winogradHere(device, sizes);
  return winograd && gainsByWinograd(sizes) ? winograd : gatherHere(device, sizes);
}

/**
 * Tensor cores are never preferred, only tried: what browsers call experimental must have computed the same
 * as plain arithmetic on this very adapter before a run uses it.
 */
function mixedCandidates(device: Device): ConvVariant[] {
  if (device.isCpu) return [GATHER_HALF];
  const plain = [GATHER_HALF, ...inSizes(GATHER_HALF)];
  return device.tensorCores ? [...plain, GATHER_MATRIX, ...inSizes(GATHER_MATRIX)] : plain;
}

/** What a tuner may try: the naive variant is never the fastest. Sizes of tiles are for GPUs. */
function candidatesFor(device: Device, sizes: ConvSizes, pass: ConvPass): ConvVariant[] {
  const columns = prefersColumns(sizes) ? [COLUMNS] : [];
  const thin = [...columns, ...thinVariants(device, sizes, pass)];
  // These stay in float32, from which 16 bits differ by more than rounding may.
  if (device.precision === 'mixed') return thin.length > 0 ? thin : mixedCandidates(device);
  const winograd = winogradHere(device, sizes);
  const list = [...(winograd ? [winograd] : []), ...thin, gatherHere(device, sizes)];
  if (device.isCpu) return list;
  return [...list, ...(winograd ? inSizes(WINOGRAD) : []), ...inSizes(GATHER)];
}

/** The variant a device is made to take, or the same by tiles, where it can compute such a layer. */
function forcedVariant(device: Device, sizes: ConvSizes, op: string): ConvVariant | null {
  const name = device.variants[op] ?? device.variants.conv2d;
  if (!name) return null;
  const variant = variantNamed(name);
  const ways: ConvVariant[] = variant.store ? [variant, { ...variant, store: 'tiles' }] : [variant];
  return ways.find((way) => fits(device, sizes, way)) ?? null;
}

/** The variant for one pass of one layer: the forced one where it fits, else the tuned or preferred one. */
export function chooseConv(device: Device, sizes: ConvSizes, pass: ConvPass): ConvVariant {
  const op = `conv2d.${pass}`;
  const forced = forcedVariant(device, sizes, op);
  if (forced) return forced;
  const preferred = variantName(preferredVariant(device, sizes, pass));
  // What was tuned for one precision says nothing of the other.
  const key = device.precision === 'mixed' ? { ...sizes, MIXED: 1 } : { ...sizes };
  const candidates = () => [...new Set(candidatesFor(device, sizes, pass).map(variantName))];
  return variantNamed(settle(device, op, key, preferred, candidates));
}
