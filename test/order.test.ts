import { expect, test } from 'vitest';
import { vjp } from '../engine/autograd.ts';
import type { Device } from '../engine/device.ts';
import { fullText } from '../engine/kernel.ts';
import { release, type Tensor } from '../engine/tensor.ts';
import { evaluate, tensorFrom } from '../engine/transfer.ts';
import { allCases } from './cases/index.ts';
import { type OpCase, values } from './cases/types.ts';
import { useDevice } from './device.ts';
import { reversed } from './engine/reversed.ts';
import { traceCase } from './engine/traceCase.ts';

// A missing barrier hides on a processor, which runs the subgroups of a workgroup one after the other. Here
// every kernel whose invocations meet runs in both orders and must give the same bits. With the first barrier
// of a kernel taken out this finds it in nearly all of them.

const forward = useDevice();
const backward = useDevice();

function reverse({ gpu }: Device): void {
  const create = gpu.createShaderModule.bind(gpu);
  const value: typeof create = (module) => create({ ...module, code: reversed(module.code) });
  Object.defineProperty(gpu, 'createShaderModule', { value });
}

interface Choice {
  readonly c: OpCase;
  readonly isCpu: boolean;
  readonly variant: string | null;
}

const as = ({ isCpu, variant, c }: Choice) => ({
  isCpu,
  sharedKernels: isCpu,
  variants: variant === null ? {} : { [c.op]: variant },
});

/** Kernels of a case whose invocations meet, with the constants that choose among their ways. */
function meeting(choice: Choice): string[] {
  const kernels = traceCase({ ...forward.device, ...as(choice) }, choice.c).flatMap(
    ({ kernel }) => kernel ?? [],
  );
  return kernels
    .filter((kernel) => /\b(workgroup|storage)Barrier\(/.test(fullText(kernel)))
    .map(({ name, entry, constants }) => {
      const ways = Object.entries(constants).filter(([key, value]) => key === 'KIND' || value === true);
      return `${name}:${entry} ${ways.join(' ')}`;
    });
}

const sizeOf = (c: OpCase) => Object.values(c.inputs).reduce((sum, { data }) => sum + data.length, 0);
const channelsOf = (c: OpCase) => Math.max(...Object.values(c.inputs).map(({ shape }) => shape.at(-1) ?? 1));

/** In the order given, each that has a kernel the ones before have not; as for a GPU where it can be. */
function covering(cases: readonly OpCase[]): Choice[] {
  const seen = new Set<string>();
  const variants = cases.flatMap((c) => [null, ...(c.variants ?? [])].map((variant) => ({ c, variant })));
  const choices = [false, true].flatMap((isCpu) => variants.map((choice) => ({ ...choice, isCpu })));
  return choices.filter((choice) => {
    const fresh = meeting(choice).filter((kernel) => !seen.has(kernel));
    for (const kernel of fresh) seen.add(kernel);
    return fresh.length > 0;
  });
}

/** Every kernel with a large case, and with one of many channels. */
function chosen(): Choice[] {
  const key = ({ c, variant, isCpu }: Choice) => `${c.op} ${c.name} ${variant} ${isCpu}`;
  const by = (measure: (c: OpCase) => number) => [...allCases].sort((a, b) => measure(b) - measure(a));
  const choices = [...covering(by(sizeOf)), ...covering(by(channelsOf))];
  return [...new Map(choices.map((choice) => [key(choice), choice])).values()];
}

/** Outputs and gradients. */
async function compute(device: Device, choice: Choice): Promise<Record<string, Float32Array>> {
  const { isCpu, sharedKernels, variants } = device;
  const { c } = choice;
  const upload = (name: string, { data, shape }: ReturnType<typeof values>) =>
    tensorFrom(device, Float32Array.from(data), shape, name);
  const inputs = Object.fromEntries(Object.entries(c.inputs).map(([name, v]) => [name, upload(name, v)]));
  const seeds = c.reference(c.inputs).map(({ shape }, i) => upload(`dy${i}`, values(shape, 900 + i)));
  Object.assign(device, as(choice));
  try {
    return await evaluate(device, () => {
      const ys = c.run(inputs);
      const targets = c.grad.map((name) => inputs[name]);
      const grads = targets.length > 0 ? vjp(ys, seeds, targets) : [];
      const named = grads.map((g, i) => [`d${c.grad[i]}`, g] as const);
      return Object.fromEntries<Tensor>([...ys.map((y, i) => [`y${i}`, y] as const), ...named]);
    });
  } finally {
    Object.assign(device, { isCpu, sharedKernels, variants });
    for (const tensor of [...Object.values(inputs), ...seeds]) release(device, tensor);
  }
}

// Compiles some hundred kernels, which takes over a minute where Mesa has not kept them.
test('the order of invocations changes nothing', async () => {
  reverse(backward.device);
  const choices = chosen();
  expect(choices.length).toBeGreaterThan(10);
  for (const choice of choices) {
    const { c, isCpu, variant } = choice;
    const name = `${c.op}, ${c.name} (${variant ?? 'default'}, as for a ${isCpu ? 'processor' : 'GPU'})`;
    const expected = await compute(forward.device, choice);
    expect(await compute(backward.device, choice), name).toEqual(expected);
  }
}, 400_000);
