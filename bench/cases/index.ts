import type { Device } from '../../engine/index.ts';
import type { BenchCase } from '../types.ts';
import { convCases } from './conv2d.ts';
import { networkCases } from './networks.ts';
import { camBenchCases, camLogitsCases, linearCases, lossCases, normCases } from './ops.ts';
import { adamCase, spectralCases } from './state.ts';

export type BenchSize = 'quick' | 'full';

/**
 * Everything there is to time. Full: the networks at 256x256 and 64 channels, `quick`: at 64x64 and 32. The
 * first linear layer of the full model has 2^20 features at 256, 1 GiB: here 2^16 on a processor, 2^18 on a
 * GPU.
 */
export function benchCases(size: BenchSize, device: Pick<Device, 'isCpu'>): BenchCase[] {
  const quick = size === 'quick';
  const [side, ch] = quick ? [64, 32] : [256, 64];
  const features = quick ? 2 ** 14 : device.isCpu ? 2 ** 16 : 2 ** 18;
  return [
    ...convCases(side, ch),
    ...normCases(side, ch),
    ...spectralCases(quick ? [128, 4, 4, 64] : [1024, 4, 4, 512]),
    ...camBenchCases(side, ch),
    ...camLogitsCases(quick ? 512 : 2048),
    ...linearCases(ch, features),
    ...lossCases(side),
    adamCase(quick ? 2 ** 18 : device.isCpu ? 2 ** 22 : 2 ** 25),
    ...networkCases(quick, device.isCpu),
  ];
}
