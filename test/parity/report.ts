/** Writes docs/numerics.md: `npx tsx test/parity/report.ts`. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openDevice } from '../../engine/device/device.node.ts';
import { closeDevice, type Device } from '../../engine/device/device.ts';
import { type GoldenFile, goldenFiles, haveShared, openGolden, torchOpErrors } from './golden.ts';
import { networkErrors, type TensorError } from './networks.ts';
import { casesOf, OP_NAMES, type OpError, opErrors } from './ops.ts';
import { STATEFUL, statefulErrors } from './stateful.ts';
import { replayTraining, type TrainingError } from './training.ts';

const TARGET = fileURLToPath(new URL('../../docs/numerics.md', import.meta.url));

const exp = (value: number) => (value === 0 ? '0' : value.toExponential(1).replace('e-', 'e−'));
const largest = (values: number[]) => values.reduce((a, b) => Math.max(a, b), 0);
const row = (cells: (string | number)[]) => `| ${cells.join(' | ')} |`;

function table(head: string[], rows: (string | number)[][]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
}

const ofSet = (set: GoldenFile['set']) => (set === 'shared' ? "authors'" : 'small');

/** Ops that are no tensor operation in PyTorch. */
const UNKNOWN = new Set(['rho_clip', 'lr']);

/** The worst of these, ours and PyTorch's; PyTorch's is its own worst, of the tensors it is known for. */
function pair(errors: OpError[], torch: Record<string, number>): string[] {
  if (errors.length === 0) return ['', ''];
  const theirs = UNKNOWN.has(errors[0].op) ? '' : exp(largest(errors.map((e) => torch[e.name] ?? 0)));
  return [exp(largest(errors.map((e) => e.error))), theirs];
}

const isGradient = ({ name }: OpError) => /(\/|\.)g_\w+$/.test(name);

async function opRows(device: Device, op: string, variant: string): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { set, path } of goldenFiles('', 'ops.f64.safetensors')) {
    const golden = openGolden(path);
    const torch = torchOpErrors(set);
    const stateful = (STATEFUL as readonly string[]).includes(op);
    device.variants = variant ? { conv2d: variant } : {};
    const errors: OpError[] = [];
    const cases = casesOf(golden, op);
    for (const name of cases) {
      errors.push(...(await (stateful ? statefulErrors : opErrors)(device, golden, name)));
    }
    device.variants = {};
    const forward = errors.filter((e) => !isGradient(e));
    const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
    const title = variant ? `${op} (${variant})` : op;
    rows.push([
      ...[title, ofSet(set), String(cases.length)],
      ...pair(forward, torch),
      ...pair(errors.filter(isGradient), torch),
      worst.error === 0 ? '' : worst.name.slice(op.length + 1),
    ]);
  }
  return rows;
}

async function opTable(device: Device): Promise<string> {
  const rows: string[][] = [];
  for (const op of [...OP_NAMES, ...STATEFUL]) {
    const variants =
      op === 'conv' ? ['', 'winograd/textures', 'gather/textures', 'gather/tiles', 'naive'] : [''];
    for (const variant of variants) rows.push(...(await opRows(device, op, variant)));
  }
  const head = ['op', 'recording', 'cases', 'forward', 'PyTorch', 'gradients', 'PyTorch', 'our worst'];
  return table(head, rows);
}

async function networkTable(device: Device): Promise<string> {
  const rows: string[][] = [];
  for (const { set, path, name } of goldenFiles('nets', '.f64.safetensors')) {
    const errors = await networkErrors(device, path);
    const cells = (some: TensorError[]) => {
      const worst = some.reduce((a, b) => (b.ours > a.ours ? b : a));
      return [exp(worst.ours), exp(largest(some.map((e) => e.torch ?? 0))), worst.name];
    };
    const isGrad = (e: TensorError) => e.name.startsWith('grad.');
    const [forward, backward] = [errors.filter((e) => !isGrad(e)), errors.filter(isGrad)];
    rows.push([name, ofSet(set), ...cells(forward), ...cells(backward)]);
  }
  const sides = ['ours', 'PyTorch', 'our worst'];
  const named = ['forward', 'gradients'].flatMap((what) => sides.map((side) => `${what}: ${side}`));
  return table(['network', 'recording', ...named], rows);
}

/** ‖…‖-free numbers PyTorch's side has too: max |difference| / max |value|. */
const torchShare = (e: TrainingError) => (e.torch ?? 0) / (e.largest || 1);

function trainingRows(name: string, errors: TrainingError[], lr: number): (string | number)[][] {
  return [1, 2, 3].map((iteration) => {
    const of = (kind: TrainingError['kind']) =>
      errors.filter((e) => e.kind === kind && e.iteration === iteration);
    const both = (some: TrainingError[]) =>
      some.length === 0
        ? ''
        : `${exp(largest(some.map((e) => e.max)))} / ${exp(largest(some.map(torchShare)))}`;
    const parameters = of('parameter');
    const distances = (key: 'distance' | 'torch') => exp(largest(parameters.map((e) => e[key] ?? 0)) / lr);
    const power = of('power');
    return [
      ...[`${name}, ${iteration}`, both(of('loss')), both(of('gradient'))],
      power.length === 0 ? '' : exp(largest(power.map((e) => e.max))),
      parameters.length === 0 ? '' : `${distances('distance')} / ${distances('torch')}`,
      parameters.length === 0 ? '' : exp(largest(parameters.map((e) => e.update))),
      parameters.length === 0 ? '' : parameters.reduce((sum, e) => sum + e.flips, 0),
    ];
  });
}

async function trainingTable(device: Device): Promise<string> {
  const rows: (string | number)[][] = [];
  for (const { set, path, name } of goldenFiles('train', '.f64.safetensors')) {
    const { errors, lr } = await replayTraining(device, path);
    rows.push(...trainingRows(`${ofSet(set)} ${name}`, errors, lr));
  }
  const head = ['run, iteration', 'losses', 'gradients', 'u and v', 'parameters, in lr', 'update', 'flips'];
  return table(head, rows);
}

const device = await openDevice();
const text = `# Numerics

How far this engine is from PyTorch in float64, tensor by tensor, with PyTorch's own float32 (on a CPU)
beside it. Written by \`npx tsx test/parity/report.ts\`. The limits are in test/parity/*.test.ts, and
\`npm test\` holds every number below against them. Adapter: ${device.name}.

Recordings: *authors'* are computed by the authors' own code (../shared/golden, not in this repository),
*small* by our PyTorch rebuild of it (test/golden), which agrees with theirs to 1e−13. All start from
numbers that are exact in float32.

## Ops

‖ours − float64‖ / ‖float64‖, the worst of all cases: odd, non-square and minimal sizes, ties of the
maximum, planes with a large mean or a tiny variance. State counts as forward (u, v and σ of the power
iteration, Adam's moments); lr is compared as a share of the first rate. Limit 2e−5, and 1e−6 where no
norm divides by a standard deviation. One tensor is exempt: the gradient of an instance norm over two
pixels is what eps leaves of terms that cancel to 1e−5 of themselves; there float32 itself stops at 4e−3,
and the limit is twice PyTorch's.

${await opTable(device)}

## Networks

max |ours − float64| / max |float64| per tensor. Limits: 1e−4, and 10 times PyTorch's worst.

${await networkTable(device)}

## Training

Three iterations of the recorded step from the same weights on the same pictures: max |ours − float64| /
max |float64|, ours / PyTorch's float32. Gradients are recorded of iteration 1. Parameters: the furthest
element, in units of the learning rate (ours / PyTorch's), then ‖difference‖ / ‖what training changed‖ of
the worst tensor, then elements that are off by more than one step of the learning rate.

${await trainingTable(device)}

Adam's first steps are close to lr · sign(gradient), and ReLU, L1 and the maximum have switches: a number
within rounding of one decides more than rounding does. In the authors' light_b1 one ReLU of iteration 2
(genA2B, DownBlock.12, of the cycle B to A to B) has the input −7.4e−7 where PyTorch's float32 is off by
8.6e−7, so its side is luck. Ours goes the other way: PyTorch in float64 with that one ReLU switched ends
at 6.2e−3 of the update of genB2A.conv1x1.weight, as we do; with noise of 3e−8 on every layer it ends
between 1e−4 and 1e−1 away. Iteration 1 has no such luck, and there every gradient and parameter must be
within 10 times PyTorch's distance.

Winograd's convolution (3x3, used from 128 channels on) rounds three to five times as coarsely as the
other kernels. With fewer channels it would save no time, so there nothing is lost: with ch up to 31 every
layer is as exact as PyTorch's.

## The command line

test/parity/cli.test.ts trains with \`cli/train.ts\` from a PyTorch .pt file (light with ch 4 and ch 16,
full with ch 8 and batch 2; the learning rate falls in the second half), converts the result to .pt, and
compares the update of every tensor with PyTorch in float64: within 5e−4 of it, as PyTorch's float32 is.
Pictures of \`cli/translate.ts\` equal PyTorch's in every byte there (limit: 1 of 255).
`;
await closeDevice(device);
await writeFile(TARGET, text);
console.log(`${TARGET}${haveShared ? '' : " (without the authors' recordings)"}`);
