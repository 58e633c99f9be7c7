import { readdirSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import type { Device } from '../../engine/device/device.ts';
import { addFlagsOf } from '../../engine/device/kernel.ts';
import { paperDevice } from '../../engine/device/paper.ts';
import { vjp } from '../../engine/grad/autograd.ts';
import { addInto } from '../../engine/ops/add.ts';
import { allocate, flatRange, release, type Tensor } from '../../engine/record/tensor.ts';
import { dispose, record, run, trace } from '../../engine/run/program.ts';
import { read, tensorFrom } from '../../engine/run/transfer.ts';
import { runStep } from '../../train/session.ts';
import { allCases } from '../cases/index.ts';
import { type HostArray, type OpCase, values } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { batchOf, withSession } from '../train/session.ts';
import { TINY } from './models.ts';
import { poison } from './poison.ts';

// The pass itself is tested in fuseAdds.test.ts; here, that every kernel keeps what its flag promises.

const fusing = vi.hoisted(() => ({ on: true }));

vi.mock(import('../../engine/plan/fuseAdds.ts'), async (original) => {
  const { fuseAdds } = await original();
  return { fuseAdds: (launches, keep) => (fusing.on ? fuseAdds(launches, keep) : [...launches]) };
});

const gpu = useDevice();

type Put = (v: HostArray, name: string) => Tensor;

/** Results and gradients of a case, all added to tensors that live on. */
function recordSums(c: OpCase, put: Put) {
  const inputs = Object.fromEntries(Object.entries(c.inputs).map(([name, v]) => [name, put(v, name)]));
  const sums: Tensor[] = [];
  const addUp = (piece: Tensor) => {
    const sum = put(values(piece.shape, 70 + sums.length), 'sum');
    addInto(sum, piece);
    sums.push(sum);
  };
  const ys = c.run(inputs);
  const dys = ys.map((y, i) => put(values(y.shape, 900 + i), 'dy'));
  const targets = c.grad.map((name) => inputs[name]);
  const gradients = targets.length > 0 ? vjp(ys, dys, targets) : [];
  for (const piece of new Set([...ys, ...gradients])) addUp(piece);
  return sums;
}

/** What adds in a case, as `kernel:entry FLAG`, with the KIND of kernels that have several. */
function addingIn(device: Device, c: OpCase): string[] {
  const paper = paperDevice(device);
  const { launches } = trace(paper, () => {
    recordSums(c, ({ shape }, name) => allocate(paper, shape, name));
    return {};
  });
  return launches.flatMap(({ kernel }) => {
    const flags = kernel ? [...addFlagsOf(kernel).values()] : [];
    return flags
      .filter((flag) => kernel!.constants[flag] === true)
      .map((flag) => `${kernel!.name}:${kernel!.entry} ${flag} ${kernel!.constants.KIND ?? ''}`);
  });
}

/** The sums of a case after two runs, the second on poisoned memory. */
async function sumsOf(device: Device, c: OpCase, on: boolean): Promise<Float32Array[]> {
  fusing.on = on;
  const made: Tensor[] = [];
  const put: Put = ({ data, shape }, name) => {
    made.push(tensorFrom(device, Float32Array.from(data), shape, name));
    return made[made.length - 1];
  };
  let sums: Tensor[] = [];
  const program = await record(device, () => {
    sums = recordSums(c, put);
    return {};
  });
  fusing.on = true;
  run(program);
  poison(program);
  run(program);
  const found = await Promise.all(sums.map((sum) => read(device, sum)));
  dispose(program);
  for (const tensor of made) release(device, tensor);
  return found;
}

/** ‖a − b‖ / ‖b‖ */
function distance(a: Float32Array, b: Float32Array): number {
  const size = b.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0) / size);
}

/** Kernels that declare flags, as `kernel FLAG`. */
function declaredFlags(): string[] {
  const files = readdirSync(new URL('../../kernels', import.meta.url), { recursive: true }) as string[];
  const names = files.filter((file) => file.endsWith('.wgsl')).map((file) => file.replace(/\.wgsl$/, ''));
  return names
    .filter((name) => !name.startsWith('lib'))
    .flatMap((name) => [...addFlagsOf({ name, constants: {} }).values()].map((flag) => `${name} ${flag}`));
}

/** Never chosen on a GPU. */
const FOR_PROCESSORS = /conv2d\/gatherWeights|norm\/smallLayerBackward/;

/** What adds in the cases so far, as `addingIn` names it. */
const covered = new Set<string>();

/** Compares fused sums with plain ones where a case has anything that adds and was not looked at yet. */
async function checkSums(c: OpCase, variant: string): Promise<void> {
  const device = { ...gpu.device, variants: variant ? { [c.op]: variant } : {} };
  const fresh = addingIn(device, c).filter((what) => !covered.has(what));
  if (fresh.length === 0) return;
  for (const what of fresh) covered.add(what);
  const [fused, plain] = [await sumsOf(device, c, true), await sumsOf(device, c, false)];
  fused.forEach((sum, i) => {
    expect(distance(sum, plain[i]), `${c.name} ${variant}: ${fresh}`).toBeLessThan(1e-6);
  });
}

describe.each([...new Set(allCases.map(({ op }) => op))])('%s', (op) => {
  test('kernels with a flag add the same as a launch of its own would', async () => {
    for (const c of allCases.filter((item) => item.op === op)) {
      for (const variant of ['', ...(c.variants ?? [])]) await checkSums(c, variant);
    }
  });
});

test('every kernel with a flag was among them', () => {
  const kernels = new Set([...covered].map((what) => what.replace(/:\w+/, '').replace(/ \d*$/, '')));
  const wanted = declaredFlags().filter((flag) => gpu.device.isCpu || !FOR_PROCESSORS.test(flag));
  expect([...kernels].sort()).toEqual(wanted.sort());
  for (const kernel of ['conv2d/fold', 'conv2d/unpackWeights']) {
    expect([...covered].filter((what) => what.startsWith(kernel)).length, kernel).toBe(2);
  }
});

/** Gradients after one training step from a fixed start, tensor by tensor, and the launches of the step. */
async function gradientsOfStep(on: boolean, variants: Record<string, string>) {
  fusing.on = on;
  gpu.device.variants = variants;
  try {
    return await withSession(gpu.device, { ...TINY, batch: 2 }, async (session) => {
      const { model, step } = session;
      runStep(session, batchOf(model.options, 1), 1, 1e-4);
      const { G, D } = model.trained;
      const shards = [G, D]
        .flatMap(({ gradients }) => gradients.shards)
        .map(async (shard) => {
          const all = await read(gpu.device, flatRange(shard, 0, shard.bytes / 4, 'shard'));
          return shard.views.map(({ label, storage }) => {
            const from = storage!.offset / 4;
            return { label, values: all.slice(from, from + storage!.bytes / 4) };
          });
        });
      return { tensors: (await Promise.all(shards)).flat(), launches: step.steps.length };
    });
  } finally {
    fusing.on = true;
    gpu.device.variants = {};
  }
}

describe('a training step', () => {
  for (const variant of ['fast', 'naive']) {
    test(`has the same gradients with fewer launches (linear: ${variant})`, async () => {
      const variants = { linear: variant };
      const [fused, plain] = [await gradientsOfStep(true, variants), await gradientsOfStep(false, variants)];
      expect(fused.launches).toBeLessThan(0.95 * plain.launches);
      const largest = Math.max(...plain.tensors.map((t) => Math.max(...t.values.map(Math.abs))));
      plain.tensors.forEach(({ label, values: expected }, i) => {
        const found = fused.tensors[i].values;
        const size = Math.sqrt(expected.reduce((sum, x) => sum + x * x, 0));
        const error = Math.sqrt(found.reduce((sum, x, k) => sum + (x - expected[k]) ** 2, 0));
        expect(error, label).toBeLessThan(1e-5 * size + 1e-8 * largest);
      });
    });
  }
});
