import { readdirSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import type { Device } from '../engine/device/device.ts';
import { fullText } from '../engine/device/kernel.ts';
import { release } from '../engine/record/tensor.ts';
import { evaluate, tensorFrom } from '../engine/run/transfer.ts';
import { allCases } from './cases/index.ts';
import { type OpCase, values } from './cases/types.ts';
import { useDevice } from './device.ts';
import { difference, resultsOf } from './engine/results.ts';
import { invocationsOf, reversed, TOGETHER } from './engine/reversed.ts';
import { traceCase } from './engine/traceCase.ts';

// A missing barrier hides on a processor, which runs the subgroups of a workgroup one after the other. Here
// every kernel with workgroup memory runs in both orders and must give the same bits. What races within eight
// neighbouring lanes, or reads too early in both orders alike, stays hidden.

const forward = useDevice();
const backward = useDevice();
/** What the tests do to every kernel before it is compiled. */
let edit = (code: string) => code;

/** Has the device compile what `order` makes of kernels. */
function rewrite({ gpu }: Device, order: (code: string) => string): void {
  const create = gpu.createShaderModule.bind(gpu);
  const value: typeof create = (module) => create({ ...module, code: order(edit(module.code)) });
  Object.defineProperty(gpu, 'createShaderModule', { value });
}

let reorderings = 0;
beforeAll(() => {
  rewrite(forward.device, (code) => code);
  rewrite(backward.device, (code) => {
    reorderings++;
    return reversed(code);
  });
});

interface Choice {
  readonly c: OpCase;
  readonly isCpu: boolean;
  readonly variant: string | null;
}

const as = ({ isCpu, variant, c }: Choice) => ({
  isCpu,
  sharedKernels: isCpu,
  subgroupSize: isCpu ? TOGETHER : 32,
  variants: variant === null ? {} : { [c.op]: variant },
});

const meets = (text: string) => /var<workgroup>|Barrier\(/.test(text);

/** Kernels of a case that meet in more than one subgroup, with the KIND of those that have several. */
function meeting(choice: Choice): string[] {
  const launches = traceCase({ ...forward.device, ...as(choice) }, choice.c);
  const kernels = launches.flatMap(({ kernel }) => kernel ?? []);
  return kernels
    .filter((kernel) => meets(fullText(kernel)) && invocationsOf(kernel) > TOGETHER)
    .map(({ name, entry, constants }) => `${name}:${entry} ${constants.KIND ?? ''}`);
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

const nameOf = ({ c, variant, isCpu }: Choice) =>
  `${c.op}, ${c.name} (${variant ?? 'default'}, as for a ${isCpu ? 'processor' : 'GPU'})`;

/** Products in parts, some of them empty, and by large tiles. */
const PRODUCTS: readonly (readonly [name: string, variant: string])[] = [
  ['3x3 stride 2, 70 to 131', 'gather/tiles'],
  ['3x3, 132 to 136, batch 2', 'gather/tiles/large'],
];

/** Every kernel with a large case, and with one of many channels (convolutions have them anyway). */
function chosen(): Choice[] {
  const by = (measure: (c: OpCase) => number) => [...allCases].sort((a, b) => measure(b) - measure(a));
  const many = by(channelsOf).filter(({ op }) => op !== 'conv2d');
  const products = PRODUCTS.map(([name, variant]) => {
    const c = allCases.find((item) => item.op === 'conv2d' && item.name === name)!;
    return { c, variant, isCpu: false };
  });
  const choices = [...covering(by(sizeOf)), ...covering(many), ...products];
  return [...new Map(choices.map((choice) => [nameOf(choice), choice])).values()];
}

/** Outputs and gradients. */
async function compute(device: Device, choice: Choice): Promise<Record<string, Float32Array>> {
  const { isCpu, sharedKernels, subgroupSize, variants } = device;
  const { c } = choice;
  const upload = (name: string, { data, shape }: ReturnType<typeof values>) =>
    tensorFrom(device, Float32Array.from(data), shape, name);
  const inputs = Object.fromEntries(Object.entries(c.inputs).map(([name, v]) => [name, upload(name, v)]));
  const seeds = c.reference(c.inputs).map(({ shape }, i) => upload(`dy${i}`, values(shape, 900 + i)));
  Object.assign(device, as(choice));
  try {
    return await evaluate(device, () => resultsOf(c, inputs, seeds));
  } finally {
    Object.assign(device, { isCpu, sharedKernels, subgroupSize, variants });
    for (const tensor of [...Object.values(inputs), ...seeds]) release(device, tensor);
  }
}

const sameBits = (a: Float32Array, b: Float32Array) =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

/** Kernels whose text has workgroup memory or barriers, or takes one of them from a lib. */
function withMemory(): string[] {
  const files = readdirSync(new URL('../kernels', import.meta.url), { recursive: true }) as string[];
  const names = files.filter((file) => file.endsWith('.wgsl')).map((file) => file.replace(/\.wgsl$/, ''));
  const own = names.filter((name) => !name.startsWith('lib'));
  return own.filter((name) => meets(fullText({ name, constants: {} })));
}

// Compiles kernels twice over, which takes some minutes where Mesa has not kept them.
test('the order of invocations changes nothing', async () => {
  const choices = chosen();
  const covered = new Set(choices.flatMap(meeting).map((kernel) => kernel.replace(/:.*/, '')));
  expect([...covered].sort()).toEqual(withMemory().sort());
  for (const choice of choices) {
    const expected = await compute(forward.device, choice);
    const found = await compute(backward.device, choice);
    // As one list of names: vitest takes minutes to show where a million numbers differ.
    const others = Object.keys(expected).filter((name) => !sameBits(expected[name], found[name]));
    if (forward.device.isCpu) expect(others, nameOf(choice)).toEqual([]);
    // Compilers of GPUs may contract other sums in another text.
    else
      for (const name of Object.keys(expected))
        expect(difference(expected[name], found[name]), name).toBeLessThan(1e-6);
  }
  expect(reorderings).toBeGreaterThan(covered.size);
}, 800_000);

test('without its barriers a kernel gives other bits', async () => {
  const choice = chosen().find(({ c, isCpu }) => c.op === 'linear' && !isCpu)!;
  edit = (code) => code.replaceAll('workgroupBarrier();', '');
  try {
    for (const { device } of [forward, backward]) device.pipelines.clear();
    const [a, b] = [await compute(forward.device, choice), await compute(backward.device, choice)];
    expect(a).not.toEqual(b);
  } finally {
    edit = (code) => code;
    for (const { device } of [forward, backward]) device.pipelines.clear();
  }
});
