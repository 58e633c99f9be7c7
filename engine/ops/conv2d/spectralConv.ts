import { ShapeError } from '../../errors.ts';
import { gridOfParts, TEAMS, type Teams, teamConstants, vectors, workgroupSize } from '../../record/lanes.ts';
import { differentiable, intermediate, launch, recorder } from '../../record/recorder.ts';
import { elements } from '../../record/shape.ts';
import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { ConvPasses } from './kernels.ts';
import type { SigmaGradient } from './sigmaGradient.ts';
import type { ConvEpilogue } from './sizes.ts';

const WG = 64;

/** Invocations of the sums over rows: few long ones on a processor, many on a GPU, a team of them a slice. */
function slicesOf(rows: number, lanes: number, { team }: Teams): { PER: number; SLICES: number } {
  const wanted = Math.max(1, (recorder().device.isCpu ? 256 : 32768) / lanes);
  const PER = Math.max(4, Math.ceil(rows / wanted));
  return { PER, SLICES: Math.ceil(rows / (PER * team)) };
}

interface Upstream {
  /** Gradient of the plain convolution's sums. */
  readonly dz: Tensor;
  readonly db: Tensor | null;
  readonly outer: SigmaGradient | null;
}

/** Back through activation, bias and division: what kernels/conv2d/backwardEpilogue.wgsl says. */
function backwardEpilogue(
  dy: Tensor,
  y: Tensor,
  b: Tensor | null,
  spectrum: Spectrum,
  { ACT, SLOPE }: ConvEpilogue,
  SUMS: boolean,
): Upstream {
  const { calls: CALLS, sigma } = spectrum;
  const C = y.shape[3];
  const { C: CV, LANES } = vectors(C);
  const ROWS = elements(y.shape) / C / CALLS;
  const teams = SUMS && !recorder().device.isCpu ? TEAMS : { team: 1, wg: WG };
  const { PER, SLICES } = slicesOf(ROWS, CV * CALLS, teams);
  const label = 'conv2d.backwardEpilogue';
  const dz = intermediate(y.shape, 'conv2d dz');
  const part = intermediate([CALLS * SLICES, 2, C], label);
  const BIAS = b !== null;
  const constants = { CV, CALLS, ROWS, SLICES, PER, BIAS, SUMS, ACT, SLOPE, LANES, ...teamConstants(teams) };
  const kernel = 'conv2d/backwardEpilogue';
  launch({
    kernel,
    constants,
    label,
    bind: [dy, y, b ?? y, sigma, dz, part],
    grid: gridOfParts(CALLS * SLICES, CV, teams),
  });
  if (!SUMS) return { dz, db: null, outer: null };
  const db = intermediate([C], 'conv2d db');
  const dsigma = intermediate([CALLS], 'dsigma');
  launch({
    kernel: 'conv2d/finishEpilogue',
    constants: { CV, CALLS, SLICES, BIAS, LANES, WG: workgroupSize(256) },
    label,
    bind: [part, sigma, db, dsigma],
    grid: [1, 1, 1],
  });
  return { dz, db: BIAS ? db : null, outer: { spectrum, dsigma } };
}

/**
 * A convolution by w / sigma, of which only sums are ever divided: y = f(conv(x, w) / sigma[k] + b). The way
 * back needs <dy f', y - b> only, a sum over the result, where the gradient of w / sigma asks for <dw, w>,
 * one over the weight.
 * @param epilogue without activation, or with LeakyReLU
 */
export function normalised(
  passes: ConvPasses,
  [x, w, b]: readonly [Tensor, Tensor, Tensor | null],
  spectrum: Spectrum,
  epilogue: ConvEpilogue,
): Tensor {
  if (x.shape[0] % spectrum.calls !== 0) {
    throw new ShapeError(`conv2d: ${x.shape[0]} samples cannot be shared by ${spectrum.calls} calls`);
  }
  const y = passes.forward(x, w, b, epilogue, spectrum);
  differentiable('conv2d', [x, w, b], [y], ([dy], need) => {
    const { dz, db, outer } = backwardEpilogue(dy!, y, b, spectrum, epilogue, need[1] || need[2]);
    const [dx, dw] = passes.backward(x, w, dz, need, outer);
    return [dx, dw, need[2] ? db : null];
  });
  return y;
}
