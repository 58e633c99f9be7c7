import { settle } from '../../device/choice.ts';
import type { Device } from '../../device/device.ts';
import { fitsColumns, fitsPatches, prefersColumns } from './columns.ts';
import { gatherFits } from './gather.ts';
import type { ConvSizes } from './sizes.ts';
import { fitsTaps, THIN } from './taps.ts';
import type { TileName } from './tile.ts';
import { fitsWinograd, winogradTiles } from './winograd.ts';

type Tiled = 'gatherTiled' | 'gatherMixed' | 'gatherMatrix' | 'winogradTiled';

/**
 * How a convolution is computed: tiles of a fast algorithm, a linear layer of patches (or only its forward
 * pass, `columnsTiled`), planes of taps, gathered matrix products, or as defined. Products by tiles in
 * workgroup memory choose a size each, unless the path ends in one. Mixed ones multiply 16 bits, matrix ones
 * by tensor cores.
 */
export type ConvPath =
  | ('winograd' | 'columns' | 'gather' | 'gatherTiledSplit' | 'naive')
  | ('columnsTiled' | 'taps')
  | (Tiled | `${Tiled}${TileName}`);

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

function fitsGather(device: Device, s: ConvSizes): boolean {
  return device.subgroupSize === 8 && gatherFits(s);
}

/** Whether a layer that `fitsWinograd` is large enough for it to pay. */
function gainsByWinograd(sizes: ConvSizes): boolean {
  const channels = Math.min(sizes.CI, sizes.CO);
  return channels >= WINOGRAD_CHANNELS && winogradTiles(sizes) >= WINOGRAD_TILES;
}

/**
 * The tiles of a fast algorithm as this device multiplies them best; null where it cannot compute a layer.
 */
function winogradPath(device: Device, sizes: ConvSizes): 'winograd' | 'winogradTiled' | null {
  if (device.isCpu && fitsWinograd(device, sizes, true)) return 'winograd';
  return fitsWinograd(device, sizes, false) ? 'winogradTiled' : null;
}

/** Paths for a layer of which tiles on a GPU would mostly compute nothing, the preferred one first. */
function thinPaths(device: Device, s: ConvSizes): ('taps' | 'columnsTiled')[] {
  if (device.isCpu) return [];
  const taps = fitsTaps(device, s) ? (['taps'] as const) : [];
  if (s.CO > THIN || !fitsPatches(s)) return [...taps];
  const few = s.N * s.OH * s.OW * s.K * s.K <= FEW_TAPS;
  return few ? ['columnsTiled', ...taps] : [...taps, 'columnsTiled'];
}

/** The fastest path that can compute a layer, by what is known without measuring. */
function preferredPath(device: Device, sizes: ConvSizes): ConvPath {
  // Bound by memory, not by multiplying: in 16 bits it would gain nothing.
  if (prefersColumns(sizes)) return 'columns';
  const [thin] = thinPaths(device, sizes);
  if (thin) return thin;
  if (device.precision === 'mixed') return 'gatherMixed';
  const winograd = winogradPath(device, sizes);
  if (winograd && gainsByWinograd(sizes)) return winograd;
  return fitsGather(device, sizes) ? 'gather' : 'gatherTiled';
}

/**
 * Tensor cores are never preferred, only tried: what browsers call experimental must have computed the same
 * as plain arithmetic on this very adapter before a run uses it.
 */
function mixedCandidates(device: Device): ConvPath[] {
  if (device.isCpu) return ['gatherMixed'];
  const plain: ConvPath[] = ['gatherMixed', 'gatherMixedSmall', 'gatherMixedLarge'];
  return device.tensorCores ? [...plain, 'gatherMatrix', 'gatherMatrixSmall', 'gatherMatrixLarge'] : plain;
}

/** What a tuner may try: the naive path is never the fastest. Sizes of tiles are for GPUs. */
function candidatesFor(device: Device, sizes: ConvSizes): ConvPath[] {
  const columns: ConvPath[] = prefersColumns(sizes) ? ['columns'] : [];
  const thin: ConvPath[] = [...columns, ...thinPaths(device, sizes)];
  // These stay in float32, from which 16 bits differ by more than rounding may.
  if (device.precision === 'mixed') return thin.length > 0 ? thin : mixedCandidates(device);
  const winograd = winogradPath(device, sizes);
  const list: ConvPath[] = winograd ? [winograd, ...thin] : thin;
  if (fitsGather(device, sizes)) list.push('gather');
  else list.push('gatherTiled');
  if (device.isCpu) return list;
  if (winograd) list.push('winogradTiledSmall', 'winogradTiledLarge');
  return [...list, 'gatherTiledSmall', 'gatherTiledLarge'];
}

/** The path for one layer: the forced variant where it can compute this, else the tuned or preferred one. */
export function chooseConv(device: Device, sizes: ConvSizes): ConvPath {
  const forced = device.variants.conv2d ?? '';
  if (forced === 'naive' || /^gather(Tiled|Mixed)/.test(forced)) return forced as ConvPath;
  if (forced.startsWith('gatherMatrix') && device.tensorCores) return forced as ConvPath;
  if (forced === 'winograd' && fitsWinograd(device, sizes, true)) return 'winograd';
  if (forced.startsWith('winograd') && fitsWinograd(device, sizes, false)) {
    return forced === 'winograd' ? 'winogradTiled' : (forced as ConvPath);
  }
  if (/^columns(Tiled)?$/.test(forced) && fitsColumns(sizes)) return forced as ConvPath;
  if (forced === 'taps' && fitsTaps(device, sizes)) return 'taps';
  if (forced === 'gather') return fitsGather(device, sizes) ? 'gather' : 'gatherTiled';
  const preferred = preferredPath(device, sizes);
  // What was tuned for one precision says nothing of the other.
  const key = device.precision === 'mixed' ? { ...sizes, MIXED: 1 } : { ...sizes };
  return settle(device, 'conv2d', key, preferred, () => candidatesFor(device, sizes));
}
