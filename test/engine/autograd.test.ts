import { afterEach, describe, expect, test } from 'vitest';
import { gradients, vjp } from '../../engine/grad/autograd.ts';
import { relu } from '../../engine/ops/activation.ts';
import { adamHyper, adamStep } from '../../engine/ops/adam.ts';
import { add } from '../../engine/ops/add.ts';
import { concat, copyInto, slice, split } from '../../engine/ops/concat.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { linear } from '../../engine/ops/linear.ts';
import { l1Loss, mseToConstant } from '../../engine/ops/loss.ts';
import { scaleScalar, weightedSum } from '../../engine/ops/weightedSum.ts';
import { scalar } from '../../engine/record/constants.ts';
import { constant, differentiable, intermediate, launch, reshape } from '../../engine/record/recorder.ts';
import { release, type Tensor, viewOf, windowOf } from '../../engine/record/tensor.ts';
import { trace } from '../../engine/run/program.ts';
import { evaluate, read, tensorFrom } from '../../engine/run/transfer.ts';
import { values } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { tensorsOn } from './tensors.ts';

const gpu = useDevice();
const made: Tensor[] = [];

function put(shape: number[], data: Iterable<number>, label = 'x'): Tensor {
  const tensor = tensorFrom(gpu.device, Float32Array.from(data), shape, label);
  made.push(tensor);
  return tensor;
}

const random = (shape: number[], seed: number, label: string) => put(shape, values(shape, seed).data, label);

afterEach(() => {
  for (const tensor of made.splice(0)) release(gpu.device, tensor);
});

const { recordOnly } = tensorsOn(gpu);
const run = (build: () => Record<string, Tensor>) => evaluate(gpu.device, build);
const list = (x: Float32Array) => [...x];

describe('gradients', () => {
  test('of a tensor used several times are summed, whatever the paths', async () => {
    const x = put([4], [1, 2, 3, 4]);
    const { g, twice } = await run(() => {
      const y = add(add(x, x), x);
      const loss = weightedSum([mseToConstant(y, 0), mseToConstant(x, 1)], [1, 4]);
      const [gx] = gradients(loss, [x]);
      return { g: gx, twice: gradients(loss, [x, x])[1] };
    });
    // d/dx (mean (3x)² + 4 mean (x - 1)²) = 18x/4 + 2 (x - 1)
    expect(list(g)).toEqual([4.5, 11, 17.5, 24]);
    expect(twice).toEqual(g);
  });

  test('may be asked for intermediates, and stop there', async () => {
    const x = put([4], [1, 2, 3, 4]);
    const { h, direct } = await run(() => {
      const y = add(x, x);
      const loss = mseToConstant(y, 0);
      const [dy, dx] = gradients(loss, [y, x]);
      return { h: dy, direct: dx };
    });
    expect(list(h)).toEqual([1, 2, 3, 4]);
    expect(list(direct)).toEqual([2, 4, 6, 8]);
  });

  test('of the outputs themselves are the cotangents', async () => {
    const [x, dy] = [put([4], [1, 2, 3, 4]), put([4], [5, 6, 7, 8], 'dy')];
    const { g } = await run(() => ({ g: vjp([x], [dy], [x])[0] }));
    expect(list(g)).toEqual([5, 6, 7, 8]);
  });

  test('walk only the paths that lead to targets', () => {
    const [x, w, v] = [random([2, 4], 1, 'x'), random([8, 4], 2, 'w'), random([4, 8], 3, 'v')];
    const { launches } = trace(gpu.device, () => {
      const loss = mseToConstant(linear(linear(x, w, null), v, null), 0);
      return { dv: gradients(loss, [v])[0] };
    });
    expect(launches.map(({ label }) => label)).not.toContain('linear.backwardInput');
  });

  test('hear of a target as soon as it is complete, and whether they own the tensor', async () => {
    const [x, b] = [put([4], [1, 2, 3, 4]), put([4], [1, 1, 1, 1], 'b')];
    const heard: [number, boolean][] = [];
    recordOnly(() => {
      const y = relu(add(x, b));
      const options = { onFinal: (target: number, _: Tensor, owned: boolean) => heard.push([target, owned]) };
      vjp([y], [put([4], [1, 1, 1, 1], 'dy')], [x, b, y], options);
    });
    // add gives both terms one tensor; the gradient of y is the caller's.
    expect(heard).toEqual([
      [0, false],
      [1, false],
      [2, false],
    ]);
  });

  test('are null where a target has no influence, if asked for', async () => {
    const [x, z] = [put([4], [1, 2, 3, 4]), put([4], [0, 0, 0, 0], 'z')];
    const { g } = await run(() => {
      const loss = mseToConstant(x, 0);
      const [dx, dz] = vjp([loss], [scalar(1)], [x, z], { missing: 'null' });
      expect(dz).toBeNull();
      return { g: dx! };
    });
    expect(list(g)).toEqual([0.5, 1, 1.5, 2]);
  });

  test('refuse a target without influence, a loss of several numbers, a cotangent of another shape', () => {
    const [x, z] = [put([4], [1, 2, 3, 4]), put([4], [0, 0, 0, 0], 'z')];
    expect(() => recordOnly(() => gradients(mseToConstant(x, 0), [z]))).toThrow(
      /gradients: z \[4\] does not influence the loss/,
    );
    expect(() => recordOnly(() => gradients(x, [x]))).toThrow(/the loss must be one number, found \[4\]/);
    expect(() => recordOnly(() => vjp([mseToConstant(x, 0)], [x], [x]))).toThrow(
      /output 0 \[1\] and its cotangent \[4\] must have the same shape/,
    );
  });

  test('refuse a rule that gives no gradient, or one of another shape', () => {
    const x = put([8], values([8], 1).data);
    const rule = (give: () => Tensor | null) => () => {
      const y = intermediate([8], 'y');
      launch({
        ...{ kernel: 'fill/main', constants: { N4: 2, WG: 64 }, label: 'mine.forward' },
        ...{ bind: [scalar(1), y], grid: [1, 1, 1] },
      });
      differentiable('mine', [x], [y], () => [give()]);
      gradients(mseToConstant(y, 0), [x]);
    };
    expect(() => recordOnly(rule(() => null))).toThrow(
      /gradients: mine has no rule for its input 0, x \[8\]/,
    );
    expect(() => recordOnly(rule(() => windowOf(x, 0, [4])))).toThrow(
      /gradients of mine: input 0 \[8\] and its gradient \[4\] must have the same shape/,
    );
  });
});

describe('second derivatives', () => {
  test('throw where the way back has no rule, even if another path reaches the target', () => {
    const x = put([4], [1, 2, 3, 4]);
    const penalty = () => {
      const adversarial = mseToConstant(x, 0);
      const [g] = gradients(adversarial, [x]);
      return gradients(weightedSum([adversarial, mseToConstant(g, 0)], [1, 1]), [x]);
    };
    expect(() => recordOnly(penalty)).toThrow(/gradients: second derivative of loss: no rule .*constant\(\)/);
  });

  test('throw for a gradient penalty on a network, by its weights', () => {
    const [x, w] = [random([1, 4, 4, 4], 1, 'x'), random([4, 3, 3, 4], 2, 'w')];
    const penalty = () => {
      const y = conv2d(x, w, null, { pad: 1, activation: 'leaky_relu' });
      const [g] = gradients(mseToConstant(y, 1), [x]);
      gradients(weightedSum([mseToConstant(y, 1), mseToConstant(g, 1)], [1, 10]), [w]);
    };
    expect(() => recordOnly(penalty)).toThrow(/second derivative of conv2d: no rule/);
  });

  test('are right through linear ops, whose rules are ops themselves', async () => {
    const [x, s] = [put([64], Array(64).fill(1)), put([1], [3], 's')];
    const { g } = await run(() => {
      // y = 2x, and its gradient with the cotangent 2x is 4x, which is linear in x.
      const y = reshape(concat(split(add(x, x), 0, [64]), 0), [8, 8]);
      const dy = reshape(slice(add(x, x), 0, 0, 64), [8, 8]);
      const [dx] = vjp([y], [dy], [x]); // 2 dy = 4 x
      const [again] = vjp([dx], [x], [x]); // 4 x
      return { g: again };
    });
    expect(list(g)).toEqual(Array(64).fill(4));
    const { h } = await run(() => {
      const [ds] = vjp([weightedSum([s], [5])], [scaleScalar(s, 2)], [s]); // 10 s
      return { h: vjp([ds], [scalar(1)], [s])[0] };
    });
    expect(list(h)).toEqual([10]);
  });

  test('of constant() are none: it has the values, and no past', async () => {
    const x = put([4], [1, 2, 3, 4]);
    const { g } = await run(() => {
      const adversarial = mseToConstant(x, 0);
      const [first] = gradients(adversarial, [x]);
      const distance = l1Loss(x, constant(first));
      return { g: gradients(distance, [x])[0] };
    });
    // first = x/2 < x: the derivative of |x - first| by x alone is 1/4.
    expect(list(g)).toEqual([0.25, 0.25, 0.25, 0.25]);
  });
});

describe('a forward pass that nobody declared', () => {
  const undeclared = (x: Tensor) => {
    const y = intermediate(x.shape, 'y');
    launch({
      ...{ kernel: 'add/main', constants: { N4: 1, WG: 64 }, label: 'mine.double' },
      ...{ bind: [x, x, y], grid: [1, 1, 1] },
    });
    return y;
  };

  test('has no derivative: asking for one throws', () => {
    const x = put([4], [1, 2, 3, 4]);
    const through = (wrap: (t: Tensor) => Tensor) => () => {
      const loss = weightedSum([mseToConstant(wrap(undeclared(x)), 0), mseToConstant(x, 0)], [1, 1]);
      gradients(loss, [x]);
    };
    expect(() => recordOnly(through((t) => t))).toThrow(/mine\.double has no rule for derivatives/);
    expect(() => recordOnly(through(constant))).not.toThrow();
  });

  test('throws for a window or another shape of a target, made without an op', () => {
    const x = put([128], values([128], 3).data);
    const through = (part: Tensor) => () =>
      gradients(weightedSum([mseToConstant(part, 0), mseToConstant(x, 0)], [1, 1]), [x]);
    for (const part of [windowOf(x, 64, [64]), viewOf(x, [2, 64])]) {
      expect(() => recordOnly(through(part))).toThrow(/has no rule for derivatives/);
    }
  });

  test('is a constant where it does not come from the targets', async () => {
    const [x, z] = [put([4], [1, 2, 3, 4]), put([4], [0, 0, 0, 0], 'z')];
    const { g } = await run(() => ({ g: gradients(l1Loss(x, undeclared(z)), [x])[0] }));
    expect(list(g)).toEqual([0.25, 0.25, 0.25, 0.25]);
  });
});

describe('a tensor overwritten between forward and backward', () => {
  /** loss = mean (w x)² with an Adam step on w before the gradient by x. */
  function lateGradient(overwritten?: 'use') {
    const [x, w] = [put([1, 4], [1, 1, 1, 1]), put([1, 4], [1, 1, 1, 1], 'w')];
    const [g, m, v] = ['g', 'm', 'v'].map((name) => put([1, 4], [1, 1, 1, 1], name));
    const hyper = put([4], adamHyper(1, 0.25), 'hyper');
    return {
      w,
      build: () => {
        const loss = mseToConstant(linear(x, w, null), 0);
        adamStep({ p: w, g, m, v, hyper });
        return { dx: gradients(loss, [x], { overwritten })[0] };
      },
    };
  }

  test('is refused', () => {
    const { build } = lateGradient();
    expect(() => trace(gpu.device, build)).toThrow(
      /gradients: w \[1,4\] was overwritten after linear had used it.*overwritten: 'use'/,
    );
  });

  test('is used as it is now where that is asked for', async () => {
    const { w, build } = lateGradient('use');
    const { dx } = await run(build);
    const now = await read(gpu.device, w);
    expect(now[0]).not.toBe(1);
    // d/dx (w x)² with the old sum 4 and the new weight.
    for (let i = 0; i < 4; i++) expect(dx[i]).toBeCloseTo(8 * now[i], 5);
  });

  test('does not matter where the rule reads no values, or the write was elsewhere', async () => {
    const [x, z] = [put([4], [1, 2, 3, 4]), put([4], [5, 5, 5, 5], 'z')];
    const { g } = await run(() => {
      const y = add(x, x);
      const part = reshape(y, [2, 2]);
      copyInto(x, z);
      return { g: vjp([part], [reshape(z, [2, 2])], [x])[0] };
    });
    expect(list(g)).toEqual([10, 10, 10, 10]);
    const both = put([128], values([128], 4).data, 'both');
    const [first, second] = split128(both);
    const forward = () => {
      const loss = mseToConstant(first, 0);
      copyInto(second, put([64], values([64], 5).data));
      gradients(loss, [first]);
    };
    expect(() => recordOnly(forward)).not.toThrow();
  });

  /** Two halves of a buffer as tensors of their own. */
  function split128(both: Tensor): Tensor[] {
    return [0, 64].map((first) => windowOf(both, first, [64]));
  }
});
