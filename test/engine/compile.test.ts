import { describe, expect, test } from 'vitest';
import { vjp } from '../../engine/autograd.ts';
import { type Device, pipelineFor } from '../../engine/device.ts';
import { type KernelSpec, kernelKey } from '../../engine/kernel.ts';
import { paperDevice } from '../../engine/paper.ts';
import { trace } from '../../engine/program.ts';
import { allocate, type Tensor } from '../../engine/tensor.ts';
import { DEFAULTS, type UgatitConfig } from '../../model/ugatit.ts';
import { allCases } from '../cases/index.ts';
import type { OpCase } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { TINY, traceStep } from './models.ts';

// The null backend runs the real WGSL compiler, line and column included, and no kernel.
const gpu = useDevice({ backend: 'null' });

type Kernels = Map<string, KernelSpec>;

function collect(into: Kernels, launches: readonly { kernel: KernelSpec | null }[]): void {
  for (const { kernel } of launches) if (kernel) into.set(kernelKey(kernel), kernel);
}

/** What sort of adapter kernels are chosen for. */
const KINDS = {
  'a GPU': { isCpu: false, subgroupSize: 32 },
  'a GPU without subgroups of one size': { isCpu: false, subgroupSize: 0 },
  'a processor': { isCpu: true, subgroupSize: 8 },
};

function as(kind: keyof typeof KINDS): Device {
  return { ...gpu.device, ...KINDS[kind] };
}

function traceCase(device: Device, c: OpCase): { kernel: KernelSpec | null }[] {
  const paper = paperDevice(device);
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape }] of Object.entries(c.inputs)) inputs[name] = allocate(paper, shape, name);
  const { launches } = trace(paper, () => {
    const ys = c.run(inputs);
    const dys = ys.map((y) => allocate(paper, y.shape, 'dy'));
    const grads =
      c.grad.length > 0
        ? vjp(
            ys,
            dys,
            c.grad.map((name) => inputs[name]),
          )
        : [];
    return Object.fromEntries([...ys, ...grads].map((tensor, i) => [`${i}`, tensor]));
  });
  return [...launches];
}

/** Compiles all, with sizes in the text and in a block; gives the first lines of what is refused. */
async function compileAll(kernels: Kernels, device: Device): Promise<string[]> {
  const refused: string[] = [];
  for (const sharedKernels of [false, true]) {
    const compiler = { ...device, sharedKernels, pipelines: new Map() };
    const all = [...kernels.values()].map((spec) => pipelineFor(compiler, spec).catch((e: Error) => e));
    for (const result of await Promise.all(all)) {
      if (result instanceof Error) refused.push(result.message.split('\n').slice(0, 3).join(' '));
    }
  }
  return refused;
}

const MODELS: Record<string, UgatitConfig> = {
  'light 96': { ...DEFAULTS, size: 96, ch: 16 },
  'full 64': { ...DEFAULTS, size: 64, ch: 16, light: false, disLayers: [6, 5] },
  'tiny, batch 2': { ...TINY, batch: 2 },
  'tiny full, batch 2, odd channels': { ...TINY, ch: 3, light: false, batch: 2 },
};

for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
  describe(`kernels for ${kind} compile`, () => {
    test('of the training step', async () => {
      const kernels: Kernels = new Map();
      for (const config of Object.values(MODELS)) collect(kernels, traceStep(as(kind), config).launches);
      expect(kernels.size).toBeGreaterThan(50);
      expect(await compileAll(kernels, gpu.device)).toEqual([]);
    });

    test('of every op, in every variant', async () => {
      const kernels: Kernels = new Map();
      for (const c of allCases) {
        for (const variant of [null, ...(c.variants ?? [])]) {
          const device = { ...as(kind), variants: variant ? { [c.op]: variant } : {} };
          collect(kernels, traceCase(device, c));
        }
      }
      expect(await compileAll(kernels, gpu.device)).toEqual([]);
    });
  });
}

test('a kernel that is refused says where', async () => {
  const spec = { name: 'add/main', entry: 'nowhere', constants: {} };
  await expect(pipelineFor(gpu.device, spec)).rejects.toThrow(
    /add\/main:nowhere.*does not compile[\s\S]*\n {3}1 /,
  );
});
