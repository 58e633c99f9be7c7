import type { Device } from '../../device.ts';
import type { ConvSizes } from '../conv2d.ts';
import { gatherFits } from './gather.ts';
import { fitsWinograd } from './winograd.ts';

/** How a convolution is computed: tiles of a fast algorithm, gathered matrix products, or as defined. */
export type ConvPath = 'winograd' | 'gather' | 'gatherTiled' | 'naive';

/** With fewer channels the transforms cost more than the products they save. */
const WINOGRAD_CHANNELS = 16;

function fitsGather(device: Device, s: ConvSizes): boolean {
  return device.subgroupSize === 8 && gatherFits([s.N, s.H, s.W, s.CI], [s.CO, s.K, s.K, s.CI], s);
}

/** The path for one layer: the forced variant where it can compute this, else the fastest that can. */
export function chooseConv(device: Device, sizes: ConvSizes): ConvPath {
  const forced = device.variants.conv2d ?? '';
  if (forced === 'naive' || forced === 'gatherTiled') return forced;
  const enough = forced.startsWith('winograd') || Math.min(sizes.CI, sizes.CO) >= WINOGRAD_CHANNELS;
  if (forced !== 'gather' && enough && fitsWinograd(device, sizes)) return 'winograd';
  return fitsGather(device, sizes) ? 'gather' : 'gatherTiled';
}
