import { type Choice, choiceKey } from '../device/choice.ts';
import type { Device } from '../device/device.ts';
import { paperDevice } from '../device/paper.ts';
import { KernelError } from '../errors.ts';
import { vjp } from '../grad/autograd.ts';
import { conv2d } from '../ops/conv2d.ts';
import { uniformStream } from '../random.ts';
import { elements, type Shape } from '../record/shape.ts';
import { allocate, release, type Tensor } from '../record/tensor.ts';
import { dispose, record, run } from '../run/program.ts';
import { read, readElements, upload } from '../run/transfer.ts';
import { closeStopwatch, openStopwatch, race, type Stopwatch } from './timing.ts';

/** A pass of an op on tensors of given shapes: what a candidate is timed on. */
interface Trial {
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly run: (t: Record<string, Tensor>) => Tensor;
  /** The input whose gradient is timed; absent: the op itself. */
  readonly target?: string;
  /** Operations of the pass by its definition. */
  readonly flops: number;
}

const convTrial =
  (target?: string) =>
  ({ N, H, W, CI, CO, OH, OW, K, S, P, UP }: Choice['sizes']): Trial => {
    const options = { stride: S, pad: P, upsample: UP as 1 | 2 };
    const inputs = { x: [N, H, W, CI], w: [CO, K, K, CI] };
    const flops = 2 * N * OH * OW * CO * K * K * CI;
    return { inputs, run: (t) => conv2d(t.x, t.w, null, options), target, flops };
  };

/** How each pass with a choice is tried; sizes as the op notes them. */
const TRIALS: Record<string, (sizes: Choice['sizes']) => Trial> = {
  'conv2d.forward': convTrial(),
  'conv2d.backwardInput': convTrial('x'),
  'conv2d.backwardWeight': convTrial('w'),
};

/** Operations that depend on a choice. */
const workOf = ({ op, sizes, uses }: Choice) => uses * TRIALS[op](sizes).flops;

/**
 * The choices a piece of work has on this adapter, the one with most work first; it is recorded on paper, so
 * nothing runs.
 */
export function choicesOf(device: Device, work: (paper: Device) => void): Choice[] {
  const paper = paperDevice(device);
  paper.tuning.noted = new Map();
  work(paper);
  return [...paper.tuning.noted.values()]
    .filter(({ op, candidates }) => op in TRIALS && candidates.length > 1)
    .sort((a, b) => workOf(b) - workOf(a));
}

export interface TuneOptions {
  /** End after so many milliseconds; what was not reached keeps its default. Default: when all is timed. */
  readonly budgetMs?: number;
  /** When aborted, what was found so far is the result. */
  readonly stop?: AbortSignal;
  readonly onProgress?: (done: number, total: number, key: string) => void;
  /**
   * Told of candidates whose values differ from the preferred one's, and of choices that were not reached.
   */
  readonly warn?: (message: string) => void;
}

/** Candidates may differ by rounding only. */
const TOLERANCE = 1e-4;

/** Elements of a result that are compared before a candidate is timed; the winner's all are. */
const SAMPLED = 64;

/** Random numbers that large inputs repeat: a prime count, which no size of a layer divides. */
const RANDOM_NUMBERS = 1048573;

function random(device: Device, shape: Shape, label: string): Tensor {
  const tensor = allocate(device, shape, label);
  const next = uniformStream(1, label);
  const count = elements(shape);
  const some = Float32Array.from({ length: Math.min(count, RANDOM_NUMBERS) }, () => next() * 2 - 1);
  const all = new Float32Array(count);
  for (let at = 0; at < count; at += some.length) all.set(some.subarray(0, count - at), at);
  upload(device, tensor, all);
  return tensor;
}

function samplesOf({ shape }: Tensor): number[] {
  const next = uniformStream(2, 'sampled elements');
  return Array.from({ length: SAMPLED }, () => Math.floor(next() * elements(shape)));
}

function difference(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  let norm = 0;
  for (let i = 0; i < a.length; i++) {
    sum += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(sum / (norm || 1));
}

type Recorded = Awaited<ReturnType<typeof record<{ result: Tensor }>>>;

interface Trials {
  readonly inputs: Record<string, Tensor>;
  dy: Tensor | null;
}

/** A candidate's program: the pass alone, as nothing else is read. */
async function recordTrial(
  device: Device,
  choice: Choice,
  variant: string,
  trial: Trial,
  t: Trials,
  onCompile?: () => void,
): Promise<Recorded> {
  const before = device.variants;
  device.variants = { ...before, [choice.op]: variant };
  try {
    const build = (): { result: Tensor } => {
      const y = trial.run(t.inputs);
      if (!trial.target) return { result: y };
      t.dy ??= random(device, y.shape, 'dy');
      return { result: vjp([y], [t.dy], [t.inputs[trial.target]])[0] };
    };
    return await record(device, build, onCompile);
  } finally {
    device.variants = before;
  }
}

interface Candidate {
  readonly name: string;
  readonly program: Recorded;
}

const nameOf = ({ op, sizes }: Choice) => choiceKey(op, sizes);

/** Whether values are those of the preferred candidate; else the sentence that says so. */
function differing(choice: Choice, name: string, found: Float32Array, expected: Float32Array): string | null {
  const error = difference(found, expected);
  if (error <= TOLERANCE) return null;
  return `${nameOf(choice)}: ${name} differs from ${choice.preferred} by ${error.toExponential(1)}`;
}

/**
 * Adds the candidates that compile, and of which some elements are what the preferred one computes; that one
 * first.
 */
async function recordCandidates(
  device: Device,
  choice: Choice,
  trial: Trial,
  t: Trials,
  programs: Candidate[],
  { warn = () => {}, stop }: TuneOptions,
): Promise<void> {
  const check = () => stop?.throwIfAborted();
  const names = [choice.preferred, ...choice.candidates.filter((name) => name !== choice.preferred)];
  let expected: Float32Array | null = null;
  for (const name of names) {
    check();
    const program = await recordTrial(device, choice, name, trial, t, check).catch((error: unknown) => {
      // What this driver's compiler refuses is no candidate; without the preferred one nothing runs.
      if (name === names[0] || !(error instanceof KernelError)) throw error;
      warn(`${nameOf(choice)}: ${name}: ${error.message.split('\n')[0]}`);
      return null;
    });
    if (!program) continue;
    programs.push({ name, program });
    run(program);
    const { result } = program.outputs;
    const found = await readElements(device, result, samplesOf(result));
    expected ??= found;
    const why = differing(choice, name, found, expected);
    if (why) {
      dispose(programs.pop()!.program);
      warn(why);
    }
  }
}

/** The first of these, the fastest first, whose whole result is that of the preferred one. */
async function firstRight(
  device: Device,
  choice: Choice,
  fastest: readonly Candidate[],
  { warn = () => {} }: TuneOptions,
): Promise<string> {
  const valuesOf = ({ program }: Candidate) => read(device, program.outputs.result);
  let expected: Float32Array | null = null;
  for (const candidate of fastest) {
    if (candidate.name === choice.preferred) break;
    expected ??= await valuesOf(fastest.find(({ name }) => name === choice.preferred)!);
    const why = differing(choice, candidate.name, await valuesOf(candidate), expected);
    if (!why) return candidate.name;
    warn(why);
  }
  return choice.preferred;
}

/** The fastest candidate among those that compute what the preferred one computes. */
async function tuneOne(watch: Stopwatch, choice: Choice, options: TuneOptions): Promise<string> {
  const { device } = watch;
  const trial = TRIALS[choice.op](choice.sizes);
  const shapes = Object.entries(trial.inputs);
  const inputs = Object.fromEntries(shapes.map(([name, shape]) => [name, random(device, shape, name)]));
  const t: Trials = { inputs, dy: null };
  const programs: Candidate[] = [];
  try {
    await recordCandidates(device, choice, trial, t, programs, options);
    if (programs.length < 2) return choice.preferred;
    const steps = programs.map(({ program }) => program.steps);
    const limits = { samples: 3, sampleMs: 3, budgetMs: 300, stop: options.stop };
    const times = (await race(watch, steps, limits)).map(({ min }) => min);
    const order = programs.map((_, i) => i).sort((i, j) => times[i] - times[j]);
    const fastest = order.map((i) => programs[i]);
    return await firstRight(device, choice, fastest, options);
  } finally {
    for (const { program } of programs) dispose(program);
    for (const tensor of [...Object.values(inputs), ...(t.dy ? [t.dy] : [])]) release(device, tensor);
  }
}

/** What the tuner says when its time is up before all is timed. */
function unreached(choices: readonly Choice[], reached: number, budgetMs: number): string {
  const work = (list: readonly Choice[]) => list.reduce((sum, choice) => sum + workOf(choice), 0);
  const share = (100 * work(choices.slice(0, reached))) / work(choices);
  return (
    `the tuner reached ${reached} of ${choices.length} choices of kernels in ` +
    `${Math.round(budgetMs / 1000)} s, those of ${Math.floor(share)} % of the work: ` +
    'the others keep the kernels that are the default'
  );
}

/**
 * Times the candidates of each choice on this adapter, values first: a candidate that computes something
 * else never wins, however fast. Changes nothing on the device; put the result into `device.tuning.best`.
 */
export async function tune(
  device: Device,
  choices: readonly Choice[],
  options: TuneOptions = {},
): Promise<Map<string, string>> {
  const { budgetMs = Number.POSITIVE_INFINITY, stop, onProgress = () => {}, warn = () => {} } = options;
  const best = new Map<string, string>();
  const watch = openStopwatch(device);
  const end = performance.now() + budgetMs;
  try {
    for (const [i, choice] of choices.entries()) {
      if (performance.now() > end || stop?.aborted) break;
      const key = nameOf(choice);
      onProgress(i, choices.length, key);
      best.set(key, await tuneOne(watch, choice, options));
    }
    onProgress(best.size, choices.length, 'done');
  } catch (error) {
    if (!stop?.aborted || error !== stop.reason) throw error;
  } finally {
    closeStopwatch(watch);
    device.pool.trim();
  }
  if (best.size < choices.length && !stop?.aborted) warn(unreached(choices, best.size, budgetMs));
  return best;
}
