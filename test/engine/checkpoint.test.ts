import { describe, expect, test } from 'vitest';
import type { Variants } from '../../engine/device/device.ts';
import { paperDevice } from '../../engine/device/paper.ts';
import { gradients } from '../../engine/grad/autograd.ts';
import { checkpoint } from '../../engine/grad/recompute.ts';
import { relu } from '../../engine/ops/activation.ts';
import { clampRange } from '../../engine/ops/adam.ts';
import { add } from '../../engine/ops/add.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { mseToConstant } from '../../engine/ops/loss.ts';
import { adailn } from '../../engine/ops/norm.ts';
import { spectralNorm } from '../../engine/ops/spectralNorm.ts';
import { allocate, release, type Tensor } from '../../engine/record/tensor.ts';
import { type Recording, trace } from '../../engine/run/program.ts';
import { evaluate, read, tensorFrom } from '../../engine/run/transfer.ts';
import { ensemblesOf } from '../../model/model.ts';
import { DEFAULTS, type UgatitConfig } from '../../model/ugatit/ugatit.ts';
import { readLosses, runStep } from '../../train/session.ts';
import { values } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { batchOf, withSession } from '../train/session.ts';
import { TINY, traceStep } from './models.ts';

const gpu = useDevice();

const BLOCKS = 3;
const C = 8;
const PICTURE = [2, 9, 7, C];

function put(shape: number[], seed: number): Tensor {
  return tensorFrom(gpu.device, Float32Array.from(values(shape, seed, 0.5).data), shape, `t${seed}`);
}

/** Everything a chain of residual blocks learns from; gamma and beta are common to all blocks. */
function chainInputs() {
  const list = Array.from({ length: BLOCKS }, (_, i) => [put([C, 3, 3, C], 10 + i), put([C], 20 + i)]);
  return { x: put(PICTURE, 1), gamma: put([2, C], 2), beta: put([2, C], 3), blocks: list };
}

type Chain = ReturnType<typeof chainInputs>;

const tensorsOf = ({ x, gamma, beta, blocks }: Chain) => [x, gamma, beta, ...blocks.flat()];

/** The loss of the chain and its gradients by all of that, blocks recomputed or not. */
function chain(inputs: Chain, recomputed: boolean): Record<string, Tensor> {
  const { x, gamma, beta, blocks } = inputs;
  let y = relu(x);
  for (const [w, rho] of blocks) {
    const before = y;
    const block = () => {
      const h = conv2d(before, w, null, { pad: 1, activation: 'relu' });
      return adailn(conv2d(h, w, null, { pad: 1 }), rho, gamma, beta, { residual: before });
    };
    y = recomputed ? checkpoint([before, w, rho, gamma, beta], block) : block();
  }
  const loss = mseToConstant(y, 1);
  const grads = gradients(loss, tensorsOf(inputs));
  return { loss, ...Object.fromEntries(grads.map((g, i) => [`g${i}`, g])) };
}

describe('a chain of recomputed blocks', () => {
  const variants: Variants[] = [
    {},
    { conv2d: 'winograd/textures' },
    { conv2d: 'gather/tiles' },
    { conv2d: 'naive', norm: 'naive' },
  ];
  for (const variant of variants) {
    test(`has the same loss and gradients, to the bit: ${JSON.stringify(variant)}`, async () => {
      gpu.device.variants = variant;
      const inputs = chainInputs();
      const kept = await evaluate(gpu.device, () => chain(inputs, false));
      const again = await evaluate(gpu.device, () => chain(inputs, true));
      expect(Object.keys(kept)).toHaveLength(1 + 3 + 2 * BLOCKS);
      for (const gradient of Object.values(kept)) expect(gradient.some((v) => v !== 0)).toBe(true);
      expect(again).toEqual(kept);
      for (const tensor of tensorsOf(inputs)) release(gpu.device, tensor);
      gpu.device.variants = {};
    });
  }

  test('records each block anew right before its own way back', () => {
    const inputs = chainInputs();
    const labels = (recomputed: boolean) =>
      trace(gpu.device, () => chain(inputs, recomputed))
        .launches.map(({ label }) =>
          /^(conv2d|norm)\.(forward|coefficients|backwardCoefficients)$/.exec(label),
        )
        .flatMap((match) => (match ? [match[0]] : []));
    const block = ['conv2d.forward', 'conv2d.forward', 'norm.coefficients'];
    const forward = Array.from({ length: BLOCKS }, () => block).flat();
    const back = 'norm.backwardCoefficients';
    expect(labels(false)).toEqual([...forward, ...new Array(BLOCKS).fill(back)]);
    expect(labels(true)).toEqual([
      ...forward,
      ...Array.from({ length: BLOCKS }, () => [...block, back]).flat(),
    ]);
    for (const tensor of tensorsOf(inputs)) release(gpu.device, tensor);
  });
});

test.for<{ variants: Variants; label: string; copies: number }>([
  { variants: {}, label: 'conv2d.padX', copies: 4 * BLOCKS },
  // Those of dy have the same name.
  { variants: { conv2d: 'winograd/textures' }, label: 'conv2d.winograd.copy', copies: 6 * BLOCKS },
])('a copy of an input is not kept from the first pass to the second: $label', (c, { skip }) => {
  skip(gpu.device.subgroupSize !== 8, 'its kernels read pictures as they are');
  gpu.device.variants = c.variants;
  const inputs = chainInputs();
  const { launches } = trace(gpu.device, () => chain(inputs, true));
  const made = new Map<Tensor, number>();
  launches.forEach(({ bindings, writes }, at) => {
    bindings.forEach((tensor, i) => {
      if (writes[i] && tensor.texture && tensor.label === c.label) made.set(tensor, at);
    });
  });
  expect(made.size).toBe(c.copies);
  const loss = launches.findIndex(({ label }) => label.startsWith('loss'));
  const late = launches.slice(loss).flatMap(({ bindings }) => bindings.filter((t) => made.get(t)! < loss));
  expect(late).toEqual([]);
  for (const tensor of tensorsOf(inputs)) release(gpu.device, tensor);
  gpu.device.variants = {};
});

describe('checkpoint refuses', () => {
  const cases: [string, RegExp, (x: Tensor, w: Tensor, v: Tensor) => void][] = [
    [
      'a weight that is no input, whose gradient would be lost',
      /conv2d reads t2 \[8,1,1,8\], which is no input/,
      (x, w) => checkpoint([x], () => conv2d(x, w, null)),
    ],
    [
      'what advances a state, which would happen twice',
      /spectralNorm\.finish writes t3 \[8\], and would do it twice/,
      (x, w, v) => checkpoint([x, w], () => conv2d(x, spectralNorm(w, v, v, { update: true }), null)),
    ],
    [
      'a result that is not computed by it',
      /t1 .* is not computed by it/,
      (x, w) => checkpoint([x, w], () => x),
    ],
    [
      'an input that is overwritten before the way back',
      /t2 \[8,1,1,8\] was overwritten after checkpoint had used it/,
      (x, w) => {
        const y = checkpoint([x, w], () => conv2d(x, w, null));
        clampRange(w, 0, 1);
        gradients(mseToConstant(y, 0), [w]);
      },
    ],
  ];
  for (const [name, error, build] of cases) {
    test(name, () => {
      const [x, w, v] = [put([1, 2, 2, C], 1), put([C, 1, 1, C], 2), put([C], 3)];
      const record = () =>
        trace(gpu.device, () => {
          build(x, w, v);
          return {};
        });
      expect(record).toThrow(error);
      for (const tensor of [x, w, v]) release(gpu.device, tensor);
    });
  }
});

describe('the training step with recomputed residual blocks', () => {
  /** Losses of two iterations, and all that they left in the model. */
  async function twoSteps(config: UgatitConfig): Promise<Record<string, unknown>> {
    return withSession(gpu.device, config, async (session) => {
      for (let step = 1; step <= 2; step++) runStep(session, batchOf(config, step), step, 1e-3);
      const losses = await readLosses(session);
      const state: Record<string, unknown> = { losses };
      const ensembles = ensemblesOf(session.model);
      const grads = Object.values(session.model.trained).map(({ gradients }) => gradients);
      const groups = ensembles.flatMap(({ parameters, u, v }) => [parameters, u, v]);
      for (const [i, group] of [...groups, ...grads].entries()) {
        for (const [name, tensors] of group.tensors) {
          for (const tensor of tensors) state[`${i} ${name}`] = await read(gpu.device, tensor);
        }
      }
      return state;
    });
  }

  for (const [name, config] of Object.entries({
    light: { ...TINY, nRes: 2 },
    'full, batch 2': { ...TINY, nRes: 2, light: false, batch: 2 },
  })) {
    test(`${name}: losses, gradients and parameters of two iterations are equal to the bit`, async () => {
      const kept = await twoSteps(config);
      const again = await twoSteps({ ...config, checkpointActivations: true });
      expect(kept.losses).toHaveLength(2);
      expect(Object.keys(kept).length).toBeGreaterThan(200);
      expect(again).toEqual(kept);
    });
  }

  test('needs less memory, and more launches', () => {
    const config = { ...DEFAULTS, size: 96, ch: 16 };
    const kept = traceStep(gpu.device, config);
    const again = traceStep(gpu.device, { ...config, checkpointActivations: true });
    expect(again.plan.bytes).toBeLessThan(0.9 * kept.plan.bytes);
    expect(again.launches.length).toBeGreaterThan(1.05 * kept.launches.length);
  });
});

describe('the tiles of a picture', () => {
  /** How often a convolution and its gradients transform a picture. */
  function transforms(size: number): number {
    const device = { ...gpu.device, variants: { conv2d: 'winograd/textures' } };
    const [x, w] = [put([1, size, size, 64], 1), put([8, 3, 3, 64], 2)];
    const { launches }: Recording<Record<string, Tensor>> = trace(device, () => {
      const y = conv2d(x, w, null, { pad: 1 });
      const [dx, dw] = gradients(mseToConstant(y, 1), [x, w]);
      return { dx, dw };
    });
    for (const tensor of [x, w]) release(gpu.device, tensor);
    return launches.filter(({ label }) => label === 'conv2d.winograd.input').length;
  }

  test('serve both ways where they are small and in textures', ({ skip }) => {
    skip(gpu.device.subgroupSize !== 8, 'its products read buffers');
    expect(transforms(32)).toBe(1);
    expect(transforms(128)).toBe(2);
  });
});

describe('a packed weight', () => {
  /** Packings of a weight that two convolutions use with `between` launches between them. */
  function packings(channels: number, between: number, isCpu = false, memo = 'again'): number {
    const device = { ...paperDevice(gpu.device), isCpu, variants: { conv2d: 'winograd/textures', memo } };
    const x = allocate(device, [1, 8, 8, channels], 'x');
    const w = allocate(device, [channels, 3, 3, channels], 'w');
    const { launches }: Recording<Record<string, Tensor>> = trace(device, () => {
      let y = conv2d(x, w, null, { pad: 1 });
      for (let i = 0; i < between; i++) y = add(y, x);
      return { y: conv2d(y, w, null, { pad: 1 }) };
    });
    return launches.filter(({ label }) => label === 'conv2d.winograd.weight').length;
  }

  test('is kept while it is used, where it is small, and on a processor', () => {
    expect(packings(176, 100)).toBe(1);
    expect(packings(16, 400)).toBe(1);
    expect(packings(176, 400, true)).toBe(1);
  });

  test('is made again on a GPU where it is large and was not used for long', () => {
    expect(packings(176, 400)).toBe(2);
    expect(packings(176, 400, false, 'kept')).toBe(1);
  });
});
