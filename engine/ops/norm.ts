import { ShapeError } from '../errors.ts';
import { gridOfParts, TEAMS, type Teams, teamConstants } from '../record/lanes.ts';
import { differentiable, grid1d, intermediate, launch, recorder, variantOf } from '../record/recorder.ts';
import { elements, expectRank, expectSame, type Shape, sameShape, show } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';
import { relu } from './activation.ts';
import { add } from './add.ts';
import type { NormCall } from './norm/call.ts';
import { prefersSmall, smallInstance } from './norm/smallInstance.ts';
import { prefersSmallLayer, smallLayer } from './norm/smallLayer.ts';

export interface NormOptions {
  /** Fused into the store. Default none. */
  readonly activation?: 'none' | 'relu';
  /** Added to the result, after the activation: the other arm of a residual block, of x's shape. */
  readonly residual?: Tensor;
}

const KINDS = ['instance', 'iln', 'adailn'] as const;
/** Invocations of the kernels that turn sums into coefficients on a processor, and of the naive ones. */
const WG_SMALL = 64;
/** Parts of a picture on a processor, where one invocation joins them. */
const MOST_PARTS = 32;
/** Invocations of a sum over pictures: what keeps a large GPU's memory busy, and what a processor's cores. */
const INVOCATIONS = 65536;
const INVOCATIONS_ON_CPU = 512;

/** How the passes over x are divided: `per` rows (pixels) an invocation in `parts` parts. */
interface Division extends Teams {
  readonly per: number;
  readonly parts: number;
}

function divide(rows: number, per: number, teams: Teams): Division {
  return { ...teams, per, parts: Math.ceil(rows / (per * teams.team)) };
}

/** Sizes as the kernels' constants name them, and the divisions chosen for this adapter. */
interface Sizes {
  readonly N: number;
  readonly ROWS: number;
  readonly C: number;
  /** Groups of four channels. */
  readonly groups: number;
  readonly reduce: Division;
  readonly apply: Division;
}

function sizesOf(x: Shape): Sizes {
  const [N, H, W, C] = x;
  const ROWS = H * W;
  const groups = Math.ceil(C / 4);
  const fewLanes = variantOf('norm', recorder().device.isCpu ? 'fused' : 'wide') === 'fused';
  const most = (fewLanes ? INVOCATIONS_ON_CPU : INVOCATIONS) / (groups * N);
  const sizes = { N, ROWS, C, groups };
  if (!fewLanes) {
    const reduce = divide(ROWS, Math.max(8, Math.ceil(ROWS / most)), TEAMS);
    return { ...sizes, reduce, apply: divide(ROWS, 4, { team: 1, wg: 64 }) };
  }
  // A processor wants few workgroups of one subgroup with long runs (512 invocations are 64 workgroups).
  const per = Math.max(32, Math.ceil(ROWS / Math.min(MOST_PARTS, Math.max(1, most))));
  const run = Math.min(512, Math.max(4, Math.ceil(ROWS / most)));
  const vector = { team: 1, wg: 8 };
  return { ...sizes, reduce: divide(ROWS, per, vector), apply: divide(ROWS, run, vector) };
}

function passOver(s: Sizes, kernel: string, division: Division, flags: object, bind: Tensor[]): void {
  const { N, ROWS, C } = s;
  const { per: PER, parts: PARTS } = division;
  launch({
    kernel: `norm/${kernel}`,
    constants: { N, ROWS, C, PER, PARTS, ...flags, ...teamConstants(division) },
    label: `norm.${kernel}`,
    bind,
    grid: gridOfParts(N * PARTS, s.groups, division),
  });
}

/** What the kernels that join parts are told: a GPU shares the parts of a group of channels among a team. */
function joining({ N, ROWS, C, groups, reduce }: Sizes, kind: NormCall['kind']) {
  const { per, parts: PARTS, team } = reduce;
  const sizes = { N, ROWS, C, PER: per * team, PARTS, KIND: KINDS.indexOf(kind) };
  if (team === 1) return { ...sizes, WG: WG_SMALL };
  const { wg } = TEAMS;
  return { ...sizes, ...teamConstants({ team: Math.max(1, Math.floor(wg / groups)), wg }) };
}

/** Base, scale, shift and what the gradient needs per channel: [7, N, 4 groups], see coefficients.wgsl. */
function statistics(call: NormCall, s: Sizes): Tensor {
  const p = intermediate([3, s.reduce.parts, s.N, s.groups * 4], 'norm parts');
  passOver(s, 'statistics', s.reduce, {}, [call.x, p]);
  const saved = intermediate([7, s.N, s.groups * 4], 'norm statistics');
  launch({
    kernel: 'norm/coefficients',
    constants: joining(s, call.kind),
    label: 'norm.coefficients',
    bind: [p, call.rho ?? p, call.gamma ?? p, call.beta ?? p, saved],
    grid: [s.N, 1, 1],
  });
  return saved;
}

/** Gradients of x, rho, gamma and beta. */
function backward(call: NormCall, s: Sizes, saved: Tensor, dy: Tensor, needX: boolean): (Tensor | null)[] {
  const { x, rho, gamma, beta, relu: RELU } = call;
  const { N } = s;
  const p = intermediate([2, s.reduce.parts, N, s.groups * 4], 'norm parts');
  passOver(s, 'backwardSums', s.reduce, { RELU }, [x, dy, saved, p]);
  const like = (t: Tensor | null) => intermediate(t?.shape ?? [1], 'norm dparameter');
  const [drho, dgamma, dbeta] = [like(rho), like(gamma), like(beta)];
  const coefs = intermediate([3, N, s.groups * 4], 'norm coefs');
  launch({
    kernel: 'norm/backwardCoefficients',
    constants: joining(s, call.kind),
    label: 'norm.backwardCoefficients',
    bind: [p, saved, rho ?? p, gamma ?? p, coefs, drho, dgamma, dbeta],
    grid: [1, 1, 1],
  });
  const dx = needX ? intermediate(x.shape, 'norm dx') : null;
  if (dx) passOver(s, 'backwardApply', s.apply, { RELU }, [x, dy, saved, coefs, dx]);
  return [dx, ...(rho ? [drho, dgamma, dbeta] : [null, null, null])];
}

function fusedNorm(call: NormCall): Tensor {
  const { x, rho, gamma, beta, relu, residual } = call;
  const s = sizesOf(x.shape);
  const saved = statistics(call, s);
  const y = intermediate(x.shape, call.kind);
  const flags = { RELU: relu, RESIDUAL: residual !== null };
  passOver(s, 'apply', s.apply, flags, [x, saved, residual ?? x, y]);
  differentiable('norm', [x, rho, gamma, beta, residual], [y], ([dy], need) => {
    const inside = need.slice(0, 4).some(Boolean);
    const grads = inside ? backward(call, s, saved, dy!, need[0]) : [null, null, null, null];
    return [...grads, need[4] ? dy! : null];
  });
  return y;
}

/** One step of the chain: entry `step` of naive.wgsl with a, b, c, d, e = the tensors given. */
function pass(x: Shape, step: string, shape: Shape, inputs: Tensor[], flags: object = {}): Tensor {
  const [N, H, W, C] = x;
  const y = intermediate(shape, `norm ${step}`);
  const bind = [0, 1, 2, 3, 4].map((i) => inputs[i] ?? inputs[0]);
  launch({
    kernel: 'norm/naive',
    entry: step,
    constants: { N, ROWS: H * W, C, ...flags, WG: WG_SMALL },
    label: `norm.naive.${step}`,
    bind: [...bind, y],
    grid: grid1d(elements(shape), WG_SMALL),
  });
  return y;
}

/** (x - mean) / sqrt(variance + eps) over planes, or with `layer` over pictures; `less` as in the kernel. */
function normalise(x: Tensor, layer: boolean, less: number): Tensor {
  const [n, , , c] = x.shape;
  const sets = layer ? [n] : [n, c];
  const flags = { LAYER: layer, LESS: less };
  const mean = pass(x.shape, 'mean', sets, [x], flags);
  const variance = pass(x.shape, 'variance', sets, [x, mean], flags);
  const y = pass(x.shape, 'normalise', x.shape, [x, mean, variance], flags);
  differentiable('norm.normalise', [x], [y], ([dy]) => {
    const average = pass(x.shape, 'mean', sets, [dy!], flags);
    const dot = pass(x.shape, 'dot', sets, [dy!, y], flags);
    return [pass(x.shape, 'normaliseBackward', x.shape, [dy!, y, average, dot, variance], flags)];
  });
  return y;
}

/** rho a + (1 - rho) b. */
function mix(a: Tensor, b: Tensor, rho: Tensor): Tensor {
  const y = pass(a.shape, 'mix', a.shape, [a, b, rho]);
  differentiable('norm.mix', [a, b, rho], [y], ([dy]) => [
    pass(a.shape, 'scale', a.shape, [dy!, rho]),
    pass(a.shape, 'scale', a.shape, [dy!, rho], { COMPLEMENT: true }),
    pass(a.shape, 'sumOver', rho.shape, [dy!, a, b], { TERM: 2 }),
  ]);
  return y;
}

/** x gamma + beta; both [C] or both [N,C]. */
function affine(x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const flags = { PER_SAMPLE: gamma.shape.length === 2 };
  const y = pass(x.shape, 'affine', x.shape, [x, gamma, beta], flags);
  differentiable('norm.affine', [x, gamma, beta], [y], ([dy]) => [
    pass(x.shape, 'scale', x.shape, [dy!, gamma], flags),
    pass(x.shape, 'sumOver', gamma.shape, [dy!, x], { ...flags, TERM: 1 }),
    pass(x.shape, 'sumOver', beta.shape, [dy!], { ...flags, TERM: 0 }),
  ]);
  return y;
}

/** The unfused chain: mean, variance, normalise (twice), mix, affine, ReLU, residual, each its own pass. */
function naiveNorm(call: NormCall): Tensor {
  const { x, rho, gamma, beta } = call;
  let y: Tensor;
  if (rho && gamma && beta) y = affine(mix(normalise(x, false, 1), normalise(x, true, 1), rho), gamma, beta);
  else y = normalise(x, false, 0);
  if (call.relu) y = relu(y);
  return call.residual ? add(y, call.residual) : y;
}

function norm(call: NormCall): Tensor {
  const { kind, x, residual } = call;
  expectRank(kind, 'x', x.shape, 4);
  if (x.shape[1] * x.shape[2] < 2) {
    throw new ShapeError(`${kind}: needs planes of more than one pixel, found x ${show(x.shape)}`);
  }
  if (residual) expectSame(kind, 'x', x.shape, 'residual', residual.shape);
  const forced = variantOf('norm', '');
  if (forced === '' && kind === 'instance' && prefersSmall(x)) return smallInstance(x, call.relu, residual);
  const { rho, gamma, beta } = call;
  if (forced === '' && rho && gamma && beta && prefersSmallLayer(x)) {
    return smallLayer({ ...call, rho, gamma, beta });
  }
  return forced === 'naive' ? naiveNorm(call) : fusedNorm(call);
}

function expectParameter(kind: string, name: string, found: Shape, shape: Shape, x: Shape): void {
  if (sameShape(found, shape)) return;
  throw new ShapeError(`${kind}: ${name} must be ${show(shape)}, found ${show(found)} (x ${show(x)})`);
}

function common(options: NormOptions): { relu: boolean; residual: Tensor | null } {
  return { relu: options.activation === 'relu', residual: options.residual ?? null };
}

/**
 * Every channel of every picture to mean 0, variance 1, without parameters: torch.nn.InstanceNorm2d
 * (biased variance, eps 1e-5), then the activation, then the residual.
 * @param x [N,H,W,C]
 * @returns [N,H,W,C]
 * @throws ShapeError for planes of one pixel, or when the residual has another shape.
 */
export function instanceNorm(x: Tensor, options: NormOptions = {}): Tensor {
  return norm({ kind: 'instance', x, rho: null, gamma: null, beta: null, ...common(options) });
}

/**
 * Instance-layer normalisation (U-GAT-IT): gamma (rho xIN + (1 - rho) xLN) + beta with xIN normalised over
 * each plane, xLN over each picture; unbiased variances, eps 1e-5. Then the activation, then the residual.
 * @param x [N,H,W,C]
 * @param rho [C], as gamma and beta
 * @returns [N,H,W,C]
 * @throws ShapeError for planes of one pixel, or when a shape does not fit.
 */
export function iln(x: Tensor, rho: Tensor, gamma: Tensor, beta: Tensor, options: NormOptions = {}): Tensor {
  const shape = [x.shape[x.shape.length - 1]];
  for (const [name, t] of Object.entries({ rho, gamma, beta })) {
    expectParameter('iln', name, t.shape, shape, x.shape);
  }
  return norm({ kind: 'iln', x, rho, gamma, beta, ...common(options) });
}

/**
 * Adaptive instance-layer normalisation (U-GAT-IT): as `iln`, with gamma and beta per picture.
 * @param x [N,H,W,C]
 * @param rho [C]
 * @param gamma [N,C], as beta
 * @returns [N,H,W,C]
 * @throws ShapeError for planes of one pixel, or when a shape does not fit.
 */
export function adailn(
  x: Tensor,
  rho: Tensor,
  gamma: Tensor,
  beta: Tensor,
  options: NormOptions = {},
): Tensor {
  const c = x.shape[x.shape.length - 1];
  expectParameter('adailn', 'rho', rho.shape, [c], x.shape);
  expectParameter('adailn', 'gamma', gamma.shape, [x.shape[0], c], x.shape);
  expectParameter('adailn', 'beta', beta.shape, [x.shape[0], c], x.shape);
  return norm({ kind: 'adailn', x, rho, gamma, beta, ...common(options) });
}
