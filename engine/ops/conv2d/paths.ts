import type { ConvPath } from './choose.ts';
import { columns } from './columns.ts';
import { gatherBackwardInput, gatherForward } from './gather.ts';
import { gatherBackwardWeight } from './gatherBackward.ts';
import type { ConvKernels } from './kernels.ts';
import { naive } from './naive.ts';
import { taps } from './taps.ts';
import { gatherTiled } from './tiled.ts';
import { winograd } from './winograd.ts';

const gather: ConvKernels = {
  divides: true,
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

/** Kernels of each way to compute a convolution; chooseConv picks one. */
export const PATHS: Record<ConvPath, ConvKernels> = {
  winograd: winograd({ textures: true }),
  winogradTiled: winograd({ textures: false }),
  winogradTiledSmall: winograd({ textures: false, size: 'Small' }),
  winogradTiledTall: winograd({ textures: false, size: 'Tall' }),
  winogradTiledLarge: winograd({ textures: false, size: 'Large' }),
  columns,
  columnsTiled: { ...gatherTiled(), forward: columns.forward },
  taps,
  gather,
  gatherTiled: gatherTiled(),
  gatherTiledSmall: gatherTiled({ size: 'Small' }),
  gatherTiledTall: gatherTiled({ size: 'Tall' }),
  gatherTiledLarge: gatherTiled({ size: 'Large' }),
  gatherTiledSplit: gatherTiled({ split: true }),
  gatherMixed: gatherTiled({ half: true }),
  gatherMixedSmall: gatherTiled({ half: true, size: 'Small' }),
  gatherMixedTall: gatherTiled({ half: true, size: 'Tall' }),
  gatherMixedLarge: gatherTiled({ half: true, size: 'Large' }),
  gatherMatrix: gatherTiled({ half: true, matrices: true }),
  gatherMatrixSmall: gatherTiled({ half: true, matrices: true, size: 'Small' }),
  gatherMatrixTall: gatherTiled({ half: true, matrices: true, size: 'Tall' }),
  gatherMatrixLarge: gatherTiled({ half: true, matrices: true, size: 'Large' }),
  naive,
};
