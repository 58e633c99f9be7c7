import type { Device } from '../../engine/device/device.ts';
import { vjp } from '../../engine/grad/autograd.ts';
import { leakyRelu, relu, tanh } from '../../engine/ops/activation.ts';
import { camPool } from '../../engine/ops/cam/pool.ts';
import { cam, heatMap } from '../../engine/ops/cam.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { linear } from '../../engine/ops/linear.ts';
import { bceWithLogitsToConstant, l1Loss, mseToConstant } from '../../engine/ops/loss.ts';
import { adailn, iln, instanceNorm } from '../../engine/ops/norm.ts';
import { spectra } from '../../engine/ops/spectralNorm.ts';
import { reshape } from '../../engine/record/recorder.ts';
import { release, type Tensor } from '../../engine/record/tensor.ts';
import { dispose, record, run } from '../../engine/run/program.ts';
import { read, tensorFrom } from '../../engine/run/transfer.ts';
import { type Golden, nhwc, normError, toNhwc } from './golden.ts';

/** Error of one output or gradient of an op, ‖out − ref‖ / ‖ref‖ against PyTorch in float64. */
export interface OpError {
  readonly op: string;
  /** `conv/k3s1p1_n1_4to4_8x8/g_x`. */
  readonly name: string;
  readonly error: number;
}

/** A recorded case: its inputs on the GPU by name, and what the recording says of it. */
interface Case {
  /** Name without the op: `k3s1p1_n1_4to4_8x8`. */
  readonly name: string;
  readonly inputs: Record<string, Tensor>;
  readonly meta: Record<string, unknown>;
}

type Outputs = Record<string, Tensor>;

/** cam_d's logit weights are normalised, with one step of their power iteration; v's start is irrelevant. */
function attention({ inputs }: Case): Outputs {
  const { x, gap_w: wGap, gmp_w: wGmp, w1x1: conv, b1x1: bias, gap_u: gapU, gmp_u: gmpU } = inputs;
  const weights = { wGap, wGmp, conv, bias };
  if (!gapU) {
    const { logit, y } = cam(x, weights, { activation: 'relu' });
    return { logit, z: y, heatmap: heatMap(y) };
  }
  const layers = [
    { w: wGap, u: gapU, v: inputs.gap_v },
    { w: wGmp, u: gmpU, v: inputs.gmp_v },
  ];
  const [gap, gmp] = spectra(layers, { calls: 1, update: true });
  const { logit, y } = cam(x, weights, { activation: 'leaky_relu', spectra: { gap, gmp } });
  return { logit, z: y, heatmap: heatMap(y) };
}

function fullyConnected({ inputs: { x, w, b, w1, w2 } }: Case): Outputs {
  if (!w1) return { y: linear(x, w, b ?? null) };
  const activation = 'relu';
  return { y: linear(linear(x, w1, null, { activation }), w2, null, { activation }) };
}

function loss({ name, inputs: { x, a, b } }: Case): Outputs {
  if (name === 'l1') return { y: l1Loss(a, b) };
  const target = name.endsWith('ones') ? 1 : 0;
  return { y: name.startsWith('mse') ? mseToConstant(x, target) : bceWithLogitsToConstant(x, target) };
}

/** Every op of the recordings that keeps no state, as our ops say it. */
const OPS: Record<string, (c: Case) => Outputs> = {
  conv: ({ inputs: { x, w, b }, meta }) => {
    const { stride, pad } = meta as { stride: number; pad: number };
    return { y: conv2d(x, w, b ?? null, { stride, pad }) };
  },
  upconv: ({ inputs: { x, w } }) => ({ y: conv2d(x, w, null, { pad: 1, upsample: 2 }) }),
  instance_norm: ({ inputs: { x } }) => ({ y: instanceNorm(x) }),
  iln: ({ inputs: { x, rho, gamma, beta } }) => ({ y: iln(x, rho, gamma, beta) }),
  adailn: ({ inputs: { x, rho, gamma, beta } }) => ({ y: adailn(x, rho, gamma, beta) }),
  relu: ({ inputs: { x } }) => ({ y: relu(x) }),
  leaky_relu: ({ inputs: { x } }) => ({ y: leakyRelu(x) }),
  tanh: ({ inputs: { x } }) => ({ y: tanh(x) }),
  gmp: ({ inputs: { x } }) => ({ y: reshape(camPool(x).gmp, [x.shape[0], 1, 1, x.shape[3]]) }),
  linear: fullyConnected,
  cam_g: attention,
  cam_d: attention,
  loss,
};

/** Ops of OPS, in order; the others are in `stateful.ts`. */
export const OP_NAMES = Object.keys(OPS);

/** Cases of an op in a recording: `conv/k3s1p1_n1_4to4_8x8`, or `relu` alone. */
export function casesOf(golden: Golden, op: string): string[] {
  const names = golden.names(op).filter((name) => name.startsWith(`${op}/`));
  return [...new Set(names.map((name) => name.slice(0, name.lastIndexOf('/'))))].sort();
}

/** Shape here: maps and kernels channels last, per-channel (1,C,1,1) as [C], scalars as [1]. */
function shapeHere(shape: readonly number[], isMap: boolean): readonly number[] {
  if (shape.length === 0) return [1];
  if (shape.length !== 4) return shape;
  return isMap ? nhwc(shape) : [shape[1]];
}

/** rho, gamma and beta of a norm are (1,C,1,1) there, everything else of rank 4 is a map or a kernel. */
const isMap = (name: string, shape: readonly number[]) =>
  shape.length === 4 && !/(rho|gamma|beta)$/.test(name);

/** Values in our order. */
export function valuesHere(golden: Golden, name: string): Float64Array {
  const shape = golden.shape(name);
  return isMap(name, shape) ? toNhwc(golden.f64(name), shape) : golden.f64(name);
}

/** A recorded tensor on the GPU, in our layout. */
export function uploadHere(device: Device, golden: Golden, name: string): Tensor {
  const shape = golden.shape(name);
  const values = Float32Array.from(valuesHere(golden, name));
  return tensorFrom(device, values, shapeHere(shape, isMap(name, shape)), name);
}

/** Inputs are what is neither a gradient, nor a cotangent, nor an output. */
function inputNames(golden: Golden, path: string, outputs: readonly string[]): string[] {
  const names = golden.names(`${path}/`).map((name) => name.slice(path.length + 1));
  const given = names.filter((n) => !n.startsWith('g_') && !outputs.includes(n));
  return given.filter((n) => !outputs.some((output) => n === `g${output}`));
}

const OUTPUTS = ['y', 'logit', 'z', 'heatmap'];

/** Runs one case forward and backward; the error of every output and every gradient. */
export async function opErrors(device: Device, golden: Golden, path: string): Promise<OpError[]> {
  const [op, name = ''] = path.split('/');
  const inputs: Record<string, Tensor> = {};
  for (const input of inputNames(golden, path, OUTPUTS)) {
    inputs[input] = uploadHere(device, golden, `${path}/${input}`);
  }
  for (const side of ['gap', 'gmp'].filter((s) => `${s}_u` in inputs)) {
    const { shape } = inputs[`${side}_w`];
    inputs[`${side}_v`] = tensorFrom(device, new Float32Array(shape[1]).fill(1), [shape[1]], `${side}_v`);
  }
  const outputs = OUTPUTS.filter((output) => golden.has(`${path}/${output}`));
  const cotangents = outputs.map((output) => uploadHere(device, golden, `${path}/g${output}`));
  const targets = Object.keys(inputs).filter((input) => golden.has(`${path}/g_${input}`));
  const meta = (golden.metadata[path] ?? {}) as Record<string, unknown>;
  const program = await record(device, () => {
    const ys = OPS[op]({ name, inputs, meta });
    const grads = vjp(
      outputs.map((output) => ys[output]),
      cotangents,
      targets.map((target) => inputs[target]),
    );
    return { ...ys, ...Object.fromEntries(targets.map((target, i) => [`g_${target}`, grads[i]])) };
  });
  run(program);
  const errors: OpError[] = [];
  for (const tensor of [...outputs, ...targets.map((target) => `g_${target}`)]) {
    const ours = await read(device, (program.outputs as Outputs)[tensor]);
    const full = `${path}/${tensor}`;
    errors.push({ op, name: full, error: normError(ours, valuesHere(golden, full)) });
  }
  dispose(program);
  for (const tensor of [...Object.values(inputs), ...cotangents]) release(device, tensor);
  return errors;
}
