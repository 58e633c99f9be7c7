import type { Device } from '../../device/device.ts';
import { columns, fitsColumns } from './columns.ts';
import { gatherBackwardInput, gatherFits, gatherForward } from './gather.ts';
import { gatherBackwardWeight } from './gatherBackward.ts';
import type { ConvKernels } from './kernels.ts';
import { naive } from './naive.ts';
import type { ConvSizes } from './sizes.ts';
import { fitsTaps, taps } from './taps.ts';
import { gatherTiled } from './tiled.ts';
import { type ConvVariant, variantName } from './variant.ts';
import { fitsWinograd, winograd } from './winograd.ts';

/** What all variants of an algorithm come from. */
interface Algorithm {
  /** Whether the device can compute such a layer by this variant. */
  fits(device: Device, sizes: ConvSizes, variant: ConvVariant): boolean;
  kernels(variant: ConvVariant): ConvKernels;
}

const gatherTextures: ConvKernels = {
  takesSpectrum: true,
  forward(x, w, b, sizes, { ACT, SLOPE }, spectrum) {
    return gatherForward(x, w, sizes, { b, spectrum, activation: ACT, slope: SLOPE });
  },
  backward(x, w, dy, sizes, need, outer) {
    return [
      need[0] ? gatherBackwardInput(dy, w, x.shape, sizes) : null,
      need[1] ? gatherBackwardWeight(x, dy, w.shape, sizes, outer) : null,
    ];
  },
};

const ALGORITHMS: Readonly<Record<ConvVariant['algorithm'], Algorithm>> = {
  winograd: {
    fits: (device, sizes, { store }) => fitsWinograd(device, sizes, store === 'textures'),
    kernels: ({ store, tile }) => winograd({ textures: store === 'textures', size: tile }),
  },
  columns: { fits: (_, sizes) => fitsColumns(sizes), kernels: () => columns },
  taps: { fits: fitsTaps, kernels: () => taps },
  gather: {
    fits(device, sizes, { store, operands }) {
      if (store === 'textures') return device.subgroupSize === 8 && gatherFits(sizes);
      return operands !== 'matrix' || device.tensorCores;
    },
    kernels({ store, operands, tile: size, cut }) {
      if (store === 'textures') return gatherTextures;
      return gatherTiled({ size, half: !!operands, matrices: operands === 'matrix', split: !!cut });
    },
  },
  naive: { fits: () => true, kernels: () => naive },
};

/** Whether the device can compute such a layer by this variant. */
export const fits = (device: Device, sizes: ConvSizes, variant: ConvVariant): boolean =>
  ALGORITHMS[variant.algorithm].fits(device, sizes, variant);

const made = new Map<string, ConvKernels>();

/** The kernels of a variant: the same object each time. */
export function kernelsOf(variant: ConvVariant): ConvKernels {
  const name = variantName(variant);
  let kernels = made.get(name);
  if (!kernels) made.set(name, (kernels = ALGORITHMS[variant.algorithm].kernels(variant)));
  return kernels;
}
