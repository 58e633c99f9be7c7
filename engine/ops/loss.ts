import { AdawnError, ShapeError } from '../errors.ts';
import { floats, scalar } from '../record/constants.ts';
import { workgroupSize } from '../record/lanes.ts';
import { differentiable, grid1d, intermediate, launch, recorder } from '../record/recorder.ts';
import { elements, expectSame } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

/** Workgroups of the first launch at most, and vec4s each owns at least: a second launch has its price. */
const MOST_PARTS = 64;
const leastPer = () => (recorder().device.isCpu ? 4096 : 256);

const KINDS = ['l1', 'mse', 'bce'] as const;
type Kind = (typeof KINDS)[number];

/** Sum over parts of the mean of the kind's term: [1]. One launch for small tensors, else two. */
function forward(kind: Kind, a: Tensor, b: Tensor, GOALS: number): Tensor {
  const COUNT = elements(a.shape);
  const N4 = Math.ceil(COUNT / 4);
  const PER = Math.max(leastPer(), Math.ceil(N4 / MOST_PARTS));
  const PARTS = Math.ceil(N4 / PER);
  const constants = { COUNT, KIND: KINDS.indexOf(kind), GOALS, PER, PARTS, WG: workgroupSize() };
  const add = (entry: string, from: Tensor, parts: number): Tensor => {
    const y = intermediate([parts], 'loss');
    const bind = [from, entry === 'forward' ? b : from, from, y];
    launch({ kernel: 'loss/main', entry, constants, label: `loss.${entry}`, bind, grid: [parts, 1, 1] });
    return y;
  };
  const sums = add('forward', a, PARTS);
  return PARTS === 1 ? sums : add('finish', sums, 1);
}

/** Gradient with respect to a, or with SIGN -1 of L1's b, times the scalar dy. */
function backward(kind: Kind, a: Tensor, b: Tensor, GOALS: number, dy: Tensor, SIGN = 1): Tensor {
  const y = intermediate(a.shape, 'loss gradient');
  const COUNT = elements(a.shape);
  const WG = 64; // no barrier, and workgroups have their price
  launch({
    kernel: 'loss/main',
    entry: 'backward',
    constants: { COUNT, KIND: KINDS.indexOf(kind), GOALS, SIGN, WG },
    label: 'loss.backward',
    bind: [a, b, dy, y],
    grid: grid1d(Math.ceil(COUNT / 4), WG),
  });
  return y;
}

/** What every element is to become: one number, or one for each of equal parts along the batch. */
export type Target = number | readonly number[];

function goalsOf(op: string, x: Tensor, target: Target): readonly number[] {
  const goals = typeof target === 'number' ? [target] : target;
  if (goals.length === 0 || x.shape[0] % goals.length !== 0) {
    throw new ShapeError(`${op}: ${x.shape[0]} samples cannot be shared by ${goals.length} targets`);
  }
  return goals;
}

function towardConstant(op: string, kind: Kind, x: Tensor, target: Target): Tensor {
  const goals = goalsOf(op, x, target);
  const b = floats(goals);
  const y = forward(kind, x, b, goals.length);
  differentiable('loss', [x], [y], ([dy]) => [backward(kind, x, b, goals.length, dy!)]);
  return y;
}

/**
 * Mean of |a - b| over all elements (torch.nn.L1Loss); derivative 0 where a = b. Gradients go to both.
 * @returns [1]
 * @throws ShapeError when the shapes differ.
 */
export function l1Loss(a: Tensor, b: Tensor): Tensor {
  expectSame('l1Loss', 'a', a.shape, 'b', b.shape);
  const y = forward('l1', a, b, 1);
  differentiable('loss', [a, b], [y], ([dy], need) => [
    need[0] ? backward('l1', a, b, 1, dy!) : null,
    need[1] ? backward('l1', a, b, 1, dy!, -1) : null,
  ]);
  return y;
}

/**
 * Mean of (x - target)² over all elements: torch.nn.MSELoss against ones or zeros. With several targets the
 * sum of the means of as many equal parts of the batch, each against its own.
 * @returns [1]
 * @throws ShapeError when the batch has no such parts.
 */
export function mseToConstant(x: Tensor, target: Target): Tensor {
  return towardConstant('mseToConstant', 'mse', x, target);
}

/** Elements up to which one workgroup sums each tensor of a pair. */
const MOST_OF_PAIR = 2 ** 14;

/**
 * `mseToConstant` of two tensors, in one launch each way where they are small: patches and attention of a
 * discriminator.
 * @returns [1] each
 * @throws ShapeError when a batch has no such parts.
 */
export function mseToConstantPair(a: Tensor, b: Tensor, target: Target): [Tensor, Tensor] {
  const both = [a, b];
  const goals = both.map((x) => goalsOf('mseToConstantPair', x, target))[0];
  const [COUNT0, COUNT1] = both.map(({ shape }) => elements(shape));
  if (Math.max(COUNT0, COUNT1) > MOST_OF_PAIR) return [mseToConstant(a, target), mseToConstant(b, target)];
  const WG = workgroupSize();
  const pair = (entry: 'forward' | 'backward', dy: Tensor[], ys: Tensor[], grid: [number, number, number]) =>
    launch({
      kernel: 'loss/pair',
      entry,
      constants: { COUNT0, COUNT1, GOALS: goals.length, WG },
      label: `loss.${entry}`,
      bind: [a, b, floats(goals), ...dy, ...ys],
      grid,
    });
  const means = [intermediate([1], 'loss'), intermediate([1], 'loss')] as [Tensor, Tensor];
  pair('forward', both, means, [2, 1, 1]);
  differentiable('loss', both, means, (dy, need) => {
    const dx = both.map(({ shape }) => intermediate(shape, 'loss gradient'));
    const upstream = dy.map((g) => g ?? scalar(0));
    pair('backward', upstream, dx, grid1d(COUNT0 + COUNT1, WG));
    return dx.map((g, i) => (need[i] ? g : null));
  });
  return means;
}

/**
 * Mean binary cross-entropy of logits x against one target probability (torch.nn.BCEWithLogitsLoss), in the
 * form that neither overflows nor loses digits for large logits. Several targets as for `mseToConstant`.
 * @returns [1]
 * @throws AdawnError when a target is not in [0, 1], ShapeError when the batch has no such parts.
 */
export function bceWithLogitsToConstant(x: Tensor, target: Target): Tensor {
  const wrong = [target].flat().find((goal) => !(goal >= 0 && goal <= 1));
  if (wrong !== undefined) {
    throw new AdawnError(`bceWithLogitsToConstant: the target must be in [0, 1], got ${wrong}`);
  }
  return towardConstant('bceWithLogitsToConstant', 'bce', x, target);
}
