import { settle } from '../../choice.ts';
import type { Device } from '../../device.ts';
import type { ConvSizes } from '../conv2d.ts';
import { fitsColumns, prefersColumns } from './columns.ts';
import { gatherFits } from './gather.ts';
import { fitsWinograd } from './winograd.ts';

/** How a convolution is computed: by a fast algorithm, as matrix products, or as defined. */
export type ConvPath = 'winograd' | 'columns' | 'gather' | 'gatherTiled' | 'naive';

/**
 * With fewer channels the transforms cost what the products save (a step of ch 16 at 96: 1.70 s with, 1.42 s
 * without), and round five times as coarsely: enough to throw a ReLU's switch that PyTorch does not.
 */
const WINOGRAD_CHANNELS = 128;

function fitsGather(device: Device, s: ConvSizes): boolean {
  return device.subgroupSize === 8 && gatherFits(s);
}

/** The fastest path that can compute a layer, by what is known without measuring. */
function preferredPath(device: Device, sizes: ConvSizes): ConvPath {
  if (prefersColumns(sizes)) return 'columns';
  const enough = Math.min(sizes.CI, sizes.CO) >= WINOGRAD_CHANNELS;
  if (enough && fitsWinograd(device, sizes)) return 'winograd';
  return fitsGather(device, sizes) ? 'gather' : 'gatherTiled';
}

/** What a tuner may try: the naive path is never the fastest. */
function candidatesFor(device: Device, sizes: ConvSizes): ConvPath[] {
  const winograd: ConvPath[] = fitsWinograd(device, sizes) ? ['winograd'] : [];
  const columns: ConvPath[] = prefersColumns(sizes) ? ['columns'] : [];
  return [...winograd, ...columns, fitsGather(device, sizes) ? 'gather' : 'gatherTiled'];
}

/** The path for one layer: the forced variant where it can compute this, else the tuned or preferred one. */
export function chooseConv(device: Device, sizes: ConvSizes): ConvPath {
  const forced = device.variants.conv2d ?? '';
  if (forced === 'naive' || forced === 'gatherTiled') return forced;
  if (forced.startsWith('winograd') && fitsWinograd(device, sizes)) return 'winograd';
  if (forced === 'columns' && fitsColumns(sizes)) return 'columns';
  if (forced === 'gather') return fitsGather(device, sizes) ? 'gather' : 'gatherTiled';
  const preferred = preferredPath(device, sizes);
  return settle(device, 'conv2d', { ...sizes }, preferred, () => candidatesFor(device, sizes));
}
