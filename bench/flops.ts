import { type Device, type Launch, type Tensor, trace } from '../engine/index.ts';

/** Operations of a naive launch, by the definition of its op; 0 for what does not count. */
export function naiveFlops({ kernel }: Launch): number {
  if (!kernel) return 0;
  const s = kernel.constants as Record<string, number>;
  if (kernel.name === 'conv2d/naive') return 2 * s.N * s.OH * s.OW * s.CO * s.K * s.K * s.CI;
  if (kernel.name === 'linear/naive') return 2 * s.N * s.K * s.O;
  return 0;
}

/**
 * Operations of the convolutions and linear layers a recording needs, counted as direct sums: the naive
 * kernels are recorded and their sizes added up.
 * @param device that the tensors of `build` belong to, on paper or not: nothing runs
 */
export function flopsOf(device: Device, build: () => Record<string, Tensor>): number {
  const naive = { ...device, variants: { conv2d: 'naive', linear: 'naive' } };
  return trace(naive, build).launches.reduce((sum, item) => sum + naiveFlops(item), 0);
}
