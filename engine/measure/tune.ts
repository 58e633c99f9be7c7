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
import { read, upload } from '../run/transfer.ts';
import { closeStopwatch, openStopwatch, race, type Stopwatch } from './timing.ts';

/** An op on tensors of given shapes: what a candidate is timed on, forward and backward. */
interface Trial {
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly run: (t: Record<string, Tensor>) => Tensor;
}

/** How each op with a choice is tried; sizes as the op notes them. */
const TRIALS: Record<string, (sizes: Choice['sizes']) => Trial> = {
  conv2d({ N, H, W, CI, CO, K, S, P, UP }) {
    const options = { stride: S, pad: P, upsample: UP as 1 | 2 };
    const inputs = { x: [N, H, W, CI], w: [CO, K, K, CI] };
    return { inputs, run: (t) => conv2d(t.x, t.w, null, options) };
  },
};

/** The choices a piece of work has on this adapter; it is recorded on paper, so nothing runs. */
export function choicesOf(device: Device, work: (paper: Device) => void): Choice[] {
  const paper = paperDevice(device);
  paper.tuning.noted = new Map();
  work(paper);
  return [...paper.tuning.noted.values()].filter(
    ({ op, candidates }) => op in TRIALS && candidates.length > 1,
  );
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

function random(device: Device, shape: Shape, label: string): Tensor {
  const tensor = allocate(device, shape, label);
  const next = uniformStream(1, label);
  upload(
    device,
    tensor,
    Float32Array.from({ length: elements(shape) }, () => next() * 2 - 1),
  );
  return tensor;
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

type Recorded = Awaited<ReturnType<typeof record<Record<string, Tensor>>>>;

/** A candidate's program: the op and the gradients of all its inputs. */
async function recordTrial(
  device: Device,
  choice: Choice,
  variant: string,
  trial: Trial,
  t: Trials,
  onCompile?: () => void,
) {
  const before = device.variants;
  device.variants = { ...before, [choice.op]: variant };
  try {
    const build = (): Record<string, Tensor> => {
      const y = trial.run(t.inputs);
      t.dy ??= random(device, y.shape, 'dy');
      const grads = vjp([y], [t.dy], Object.values(t.inputs));
      return { y, ...Object.fromEntries(grads.map((g, i) => [`g${i}`, g])) };
    };
    return await record(device, build, onCompile);
  } finally {
    device.variants = before;
  }
}

interface Trials {
  readonly inputs: Record<string, Tensor>;
  dy: Tensor | null;
}

async function outputsOf(device: Device, program: Recorded): Promise<Float32Array[]> {
  run(program);
  const list: Float32Array[] = [];
  for (const tensor of Object.values(program.outputs)) list.push(await read(device, tensor));
  return list;
}

interface Candidate {
  readonly name: string;
  readonly program: Recorded;
}

/** Adds the candidates that compile, and that compute what the preferred one computes; that one first. */
async function recordCandidates(
  device: Device,
  choice: Choice,
  trial: Trial,
  t: Trials,
  programs: Candidate[],
  { warn = () => {}, stop }: TuneOptions,
): Promise<void> {
  const check = () => stop?.throwIfAborted();
  const key = choiceKey(choice.op, choice.sizes);
  const names = [choice.preferred, ...choice.candidates.filter((name) => name !== choice.preferred)];
  let expected: Float32Array[] | null = null;
  for (const name of names) {
    check();
    const program = await recordTrial(device, choice, name, trial, t, check).catch((error: unknown) => {
      // What this driver's compiler refuses is no candidate; without the preferred one nothing runs.
      if (name === names[0] || !(error instanceof KernelError)) throw error;
      warn(`${key}: ${name}: ${error.message.split('\n')[0]}`);
      return null;
    });
    if (!program) continue;
    programs.push({ name, program });
    const values = await outputsOf(device, program);
    expected ??= values;
    const error = Math.max(...values.map((v, i) => difference(v, expected![i])));
    if (error <= TOLERANCE) continue;
    dispose(programs.pop()!.program);
    warn(`${key}: ${name} differs from ${names[0]} by ${error.toExponential(1)}`);
  }
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
    return programs[times.indexOf(Math.min(...times))].name;
  } finally {
    for (const { program } of programs) dispose(program);
    for (const tensor of [...Object.values(inputs), ...(t.dy ? [t.dy] : [])]) release(device, tensor);
  }
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
      const key = choiceKey(choice.op, choice.sizes);
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
  if (best.size < choices.length && !stop?.aborted) {
    warn(
      `the tuner reached ${best.size} of ${choices.length} layers in ${Math.round(budgetMs / 1000)} s: ` +
        'the others keep the kernels that are the default',
    );
  }
  return best;
}
