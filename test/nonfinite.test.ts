import { describe, expect, test } from 'vitest';
import { vjp } from '../engine/grad/autograd.ts';
import { release, type Tensor } from '../engine/record/tensor.ts';
import { dispose, type Program, record, run } from '../engine/run/program.ts';
import { read, tensorFrom, upload } from '../engine/run/transfer.ts';
import { allCases } from './cases/index.ts';
import { type HostArrays, type OpCase, values } from './cases/types.ts';
import { useDevice } from './device.ts';

// NaN and infinity go where they go in PyTorch: an op that hides them (max(NaN, 0) = 0) lets a dead network
// train on with finite losses. The float64 references follow JavaScript's arithmetic, which is IEEE's.

const gpu = useDevice();

/** Elements of a case's inputs up to which it is tried; of each variant the smallest case in any event. */
const MOST_ELEMENTS = 1200;

const elementsOf = ({ inputs }: OpCase) =>
  Object.values(inputs).reduce((sum, { data }) => sum + data.length, 0);

/** Cases and variants: small ones, and for every variant of every op at least one. */
function chosen(): { c: OpCase; variant: string }[] {
  const seen = new Set<string>();
  const sorted = [...allCases].sort((a, b) => elementsOf(a) - elementsOf(b));
  return sorted.flatMap((c) =>
    ['default', ...(c.variants ?? [])]
      .filter((variant) => {
        const first = !seen.has(`${c.op} ${variant}`);
        seen.add(`${c.op} ${variant}`);
        return (first || elementsOf(c) <= MOST_ELEMENTS) && c.op !== 'halfScale'; // a scale is always finite
      })
      .map((variant) => ({ c, variant })),
  );
}

/** What the reference computes otherwise than from this input: Adam's numbers, a spectrum from w, u and v. */
const isGiven = (c: OpCase, name: string) =>
  name === 'hyper' ||
  (c.grad.length > 0 && !c.grad.includes(name)) ||
  (/^w/.test(name) && Object.keys(c.inputs).some((other) => /^[uv]/.test(other)));

/** Where more may become NaN than in PyTorch, and why. */
function spreads(c: OpCase, variant: string, name: string, value: number): boolean {
  // A tile's sums mix its pixels, and infinities of both signs make NaN.
  if (c.op === 'conv2d' && /^winograd/.test(variant)) return true;
  // scale and shift are multiplied out: an infinite gamma or rho gives inf - inf before ReLU.
  return c.op === 'norm' && /^(gamma|rho)$/.test(name) && !Number.isNaN(value);
}

/** A case recorded with inputs and cotangents that can be replaced. */
interface Recorded {
  readonly inputs: Record<string, Tensor>;
  readonly cotangents: readonly Tensor[];
  readonly program: Program<Record<string, Tensor>>;
}

async function recordCase(c: OpCase): Promise<Recorded> {
  const { device } = gpu;
  const put = (data: Float64Array, shape: readonly number[], name: string) =>
    tensorFrom(device, Float32Array.from(data), shape, name);
  const inputs = Object.fromEntries(
    Object.entries(c.inputs).map(([name, { data, shape }]) => [name, put(data, shape, name)]),
  );
  const shapes = c.reference(c.inputs).map(({ shape }) => shape);
  const cotangents = shapes.map((shape, i) => put(values(shape, 900 + i).data, shape, `dy${i}`));
  const program = await record(device, () => {
    const ys = c.run(inputs);
    const targets = c.grad.map((name) => inputs[name]);
    const grads = targets.length > 0 ? vjp(ys, cotangents, targets) : [];
    return Object.fromEntries([...ys.map((y, i) => [`y${i}`, y]), ...grads.map((g, i) => [`g${i}`, g])]);
  });
  return { inputs, cotangents, program };
}

/** What the program gives for these inputs and for cotangents of which one element may be replaced. */
async function results({ inputs, cotangents, program }: Recorded, h: HostArrays, dy?: [number, number]) {
  const { device } = gpu;
  for (const [name, tensor] of Object.entries(inputs))
    upload(device, tensor, Float32Array.from(h[name].data));
  cotangents.forEach((tensor, i) => {
    const data = Float32Array.from(values(tensor.shape, 900 + i).data);
    if (dy && i === 0) data[dy[0]] = dy[1];
    upload(device, tensor, data);
  });
  run(program);
  const found: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(program.outputs)) found[name] = await read(device, tensor);
  return found;
}

async function withCase(c: OpCase, use: (recorded: Recorded) => Promise<void>): Promise<void> {
  const recorded = await recordCase(c);
  await use(recorded);
  dispose(recorded.program);
  for (const tensor of [...Object.values(recorded.inputs), ...recorded.cotangents])
    release(gpu.device, tensor);
}

function withElement(h: HostArrays, name: string, at: number, value: number): HostArrays {
  const data = Float64Array.from(h[name].data);
  data[at] = value;
  return { ...h, [name]: { ...h[name], data } };
}

/** Elements that ought not to be finite, or ought to be, and are not so. */
function wrongOf(expected: ArrayLike<number>, found: ArrayLike<number>, mayBeMore: boolean): string[] {
  return Array.from(expected, (v, k) => [v, found[k], k]).flatMap(([v, ours, k]) => {
    const wrong = Number.isFinite(v) ? !mayBeMore && !Number.isFinite(ours) : Number.isFinite(ours);
    return wrong ? [`[${k}] is ${ours}, expected ${v}`] : [];
  });
}

async function checkForward(c: OpCase, variant: string, recorded: Recorded): Promise<void> {
  for (const [name, { data }] of Object.entries(c.inputs)) {
    if (isGiven(c, name)) continue;
    const places = [0, data.length >> 1, data.length - 1];
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [i, value] of values.entries()) {
      const h = withElement(c.inputs, name, places[i], value);
      const found = await results(recorded, h);
      c.reference(h).forEach((y, k) => {
        const wrong = wrongOf(y.data, found[`y${k}`], spreads(c, variant, name, value));
        expect(wrong, `${name}[${places[i]}] = ${value}: output ${k}`).toEqual([]);
      });
    }
  }
}

/** What of the gradients depends on an element of dy must show that it is not finite. */
async function checkBackward(c: OpCase, recorded: Recorded): Promise<void> {
  const at = recorded.cotangents[0].shape.reduce((p, d) => p * d, 1) >> 1;
  const [one, two, bad] = [1, -2, Number.NaN].map((value): [number, number] => [at, value]);
  const [first, second, found] = [
    await results(recorded, c.inputs, one),
    await results(recorded, c.inputs, two),
    await results(recorded, c.inputs, bad),
  ];
  c.grad.forEach((name, i) => {
    const [a, b] = [first[`g${i}`], second[`g${i}`]];
    const expected = a.map((g, k) => (g === b[k] ? g : Number.NaN));
    expect(wrongOf(expected, found[`g${i}`], true), `dy[${at}] = NaN: gradient of ${name}`).toEqual([]);
  });
}

for (const op of new Set(chosen().map(({ c }) => c.op))) {
  describe(op, () => {
    for (const { c, variant } of chosen().filter((item) => item.c.op === op)) {
      test(`${c.name} (${variant})`, async () => {
        gpu.device.variants = variant === 'default' ? {} : { [op]: variant };
        await withCase(c, async (recorded) => {
          await checkForward(c, variant, recorded);
          if (c.grad.length > 0) await checkBackward(c, recorded);
        });
        gpu.device.variants = {};
      });
    }
  });
}
