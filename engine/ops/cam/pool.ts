import { differentiable, grid1d, intermediate, launch, recorder, variantOf } from '../../record/recorder.ts';
import { expectRank, type Shape } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';

const WG = 64;

/**
 * Pixels summed by one invocation before the sums are joined, and lanes of a workgroup. On a processor a
 * second launch costs more than its few threads gain by shorter sums, and each thread takes whole workgroups.
 */
const tile = () => (recorder().device.isCpu ? { PER: 4096, WG: 8 } : { PER: 64, WG });

/** Global average and maximum pooling, and where (first in row-major order) the maximum is. */
interface Pooled {
  readonly gap: Tensor;
  readonly gmp: Tensor;
  readonly pixel: Tensor;
}

function pooled(N: number, C: number): Pooled {
  return {
    gap: intermediate([N, C], 'cam gap'),
    gmp: intermediate([N, C], 'cam gmp'),
    pixel: intermediate([N, C], 'cam pixel'),
  };
}

function poolNaive(x: Tensor): Pooled {
  const [N, H, W, C] = x.shape;
  const out = pooled(N, C);
  launch({
    kernel: 'cam/naivePool',
    constants: { N, HW: H * W, C, WG },
    label: 'cam.pool',
    bind: [x, out.gap, out.gmp, out.pixel],
    grid: grid1d(N * C, WG),
  });
  return out;
}

function poolFast(x: Tensor): Pooled {
  const [N, H, W, C] = x.shape;
  const HW = H * W;
  const C4 = C / 4;
  const tiles = tile();
  const SLICES = Math.ceil(HW / tiles.PER);
  const out = pooled(N, C);
  const whole = SLICES === 1;
  const parts = whole ? out : pooled(N * SLICES, C);
  launch({
    kernel: 'cam/pool',
    constants: { N, HW, C4, SLICES, SCALE: whole ? 1 / HW : 1, ...tiles },
    label: 'cam.pool',
    bind: [x, parts.gap, parts.gmp, parts.pixel],
    grid: grid1d(N * SLICES * C4, tiles.WG),
  });
  if (whole) return out;
  launch({
    kernel: 'cam/poolJoin',
    constants: { N, C4, SLICES, SCALE: 1 / HW, WG },
    label: 'cam.pool',
    bind: [parts.gap, parts.gmp, parts.pixel, out.gap, out.gmp, out.pixel],
    grid: grid1d(N * C4, WG),
  });
  return out;
}

function poolBackward(
  dgap: Tensor | null,
  dgmp: Tensor | null,
  pixel: Tensor,
  shape: Shape,
  naive: boolean,
): Tensor {
  const [N, H, W, C] = shape;
  const HW = H * W;
  const dx = intermediate(shape, 'cam.pool dx');
  const given = { MEAN: dgap !== null, MAX: dgmp !== null, WG };
  const PER = Math.min(16, HW);
  launch({
    kernel: naive ? 'cam/naivePoolBackward' : 'cam/poolBackward',
    constants: naive ? { N, HW, C, ...given } : { N, HW, C4: C / 4, PER, ...given },
    label: 'cam.poolBackward',
    bind: [(dgap ?? dgmp)!, (dgmp ?? dgap)!, pixel, dx],
    grid: grid1d(naive ? N * HW * C : (N * Math.ceil(HW / PER) * C) / 4, WG),
  });
  return dx;
}

/**
 * Mean and maximum of every channel over the picture, in one pass. The gradient of the maximum goes to the
 * first pixel in row-major order that has it, as in torch.
 * @param x [N,H,W,C]
 * @returns gap and gmp, [N,C] each
 */
export function camPool(x: Tensor): { gap: Tensor; gmp: Tensor } {
  expectRank('camPool', 'x', x.shape, 4);
  const naive = variantOf('cam', 'fast') === 'naive' || x.shape[3] % 4 !== 0;
  const { gap, gmp, pixel } = naive ? poolNaive(x) : poolFast(x);
  differentiable('cam', [x], [gap, gmp], ([dgap, dgmp]) => [poolBackward(dgap, dgmp, pixel, x.shape, naive)]);
  return { gap, gmp };
}
