import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { gradients } from '../../engine/grad/autograd.ts';
import { add } from '../../engine/ops/add.ts';
import { concat } from '../../engine/ops/concat.ts';
import { linear } from '../../engine/ops/linear.ts';
import { mseToConstant } from '../../engine/ops/loss.ts';
import { scalar } from '../../engine/record/constants.ts';
import { reshape } from '../../engine/record/recorder.ts';
import { allocate, release, type Tensor } from '../../engine/record/tensor.ts';
import { evaluate, read, tensorFrom, upload } from '../../engine/run/transfer.ts';
import { allocateEnsemble, type Ensemble, freeEnsemble } from '../../model/ensemble.ts';
import { type Collection, collect, collection, optimise } from '../../model/optimise.ts';
import { allocateGroup, freeGroup, type ParameterGroup } from '../../model/parameters.ts';
import { declare, scopeOf } from '../../model/scope.ts';
import { values } from '../cases/types.ts';
import { useDevice } from '../device.ts';

const gpu = useDevice();

const C = 64;
const init = { kind: 'constant', value: 0 } as const;
const shapeOf = (name: string) => (name === 'w' ? [C, C] : [C]);
const specs = declare((p) => {
  for (const name of ['a', 'b', 'w']) p.tensor(name, { shape: shapeOf(name), init });
}, 2 ** 27);

let ensemble: Ensemble;
let gradientGroup: ParameterGroup;
let x: Tensor;
let hyper: Tensor;

const random = (shape: number[], seed: number) => Float32Array.from(values(shape, seed, 0.5).data);

beforeAll(() => {
  ensemble = allocateEnsemble(gpu.device, new Map([['net', specs]]), 'test', true);
  const named = specs.map((spec) => ({ ...spec, name: `net.${spec.name}` }));
  gradientGroup = allocateGroup(gpu.device, named, 'gradients');
  x = tensorFrom(gpu.device, random([1, C], 1), [1, C], 'x');
  hyper = allocate(gpu.device, [4], 'hyper');
});

afterAll(() => {
  freeEnsemble(gpu.device, ensemble);
  freeGroup(gpu.device, gradientGroup);
  for (const tensor of [x, hyper]) release(gpu.device, tensor);
});

const parameter = (name: string) => scopeOf(ensemble, 'net').tensor(name, { shape: shapeOf(name), init });
const gradientOf = (name: string) => gradientGroup.tensors.get(`net.${name}`)![0];

beforeEach(() => {
  for (const [i, name] of ['a', 'b', 'w'].entries()) {
    const { shape } = parameter(name);
    upload(gpu.device, parameter(name), random([...shape], 10 + i));
    upload(gpu.device, gradientOf(name), new Float32Array(name === 'w' ? C * C : C).fill(Number.NaN));
  }
});

/** What a program collects, and what `gradients` gives for the sum of its losses without collecting. */
async function collected(
  losses: readonly (() => Tensor)[],
  names: readonly string[],
  missing?: 'zero',
): Promise<void> {
  const outputs = await evaluate(gpu.device, () => {
    const collecting = collection(ensemble, gradientGroup);
    for (const loss of losses) collect(collecting, 'net', [[loss()], [scalar(1)]], [], { missing });
    if (missing) optimise(collecting, ['net'], hyper, {});
    return Object.fromEntries(
      names.map((name) => {
        const terms = losses.map((loss) => gradients(loss(), [parameter(name)])[0]);
        return [name, terms.reduce((sum, term) => add(sum, term))];
      }),
    );
  });
  for (const name of names) {
    const found = await read(gpu.device, gradientOf(name));
    const size = Math.sqrt(found.reduce((sum, g) => sum + g * g, 0) / found.length);
    expect(size).toBeGreaterThan(0);
    // Terms are added in another order where a kernel adds to what is there already.
    found.forEach((g, i) => {
      expect(Math.abs(g - outputs[name][i]), `${name}[${i}]`).toBeLessThan(1e-6 * size);
    });
  }
}

const flat = (t: Tensor) => reshape(t, [1, C]);

describe('collect takes', () => {
  test('what is computed for one parameter alone without a copy, and adds later pieces', async () => {
    const loss = () => {
      const h = linear(linear(x, parameter('w'), parameter('a')), parameter('w'), parameter('b'));
      return mseToConstant(h, 1);
    };
    await collected([loss, loss], ['a', 'b', 'w']);
  });

  test('a gradient that two parameters share', async () => {
    await collected(
      [() => mseToConstant(linear(flat(add(parameter('a'), parameter('b'))), parameter('w'), null), 0)],
      ['a', 'b', 'w'],
    );
  });

  test('a gradient that is a window of another', async () => {
    const loss = () => {
      const both = concat([flat(parameter('a')), flat(parameter('b')), x], 0);
      return mseToConstant(linear(both, parameter('w'), null), 0);
    };
    await collected([loss], ['a', 'b', 'w']);
  });

  test('a gradient that is handed on as well, which later pieces leave alone', async () => {
    const { other, plain } = await evaluate(gpu.device, () => {
      const collecting = collection(ensemble, gradientGroup);
      const y = add(flat(parameter('a')), x);
      const once = mseToConstant(add(y, linear(flat(parameter('b')), parameter('w'), null)), 0);
      const [dx] = collect(collecting, 'net', [[once], [scalar(1)]], [x]);
      collect(collecting, 'net', [
        [mseToConstant(linear(flat(add(parameter('a'), parameter('b'))), parameter('w'), null), 3)],
        [scalar(1)],
      ]);
      return { other: dx, plain: gradients(once, [x])[0] };
    });
    expect(other).toEqual(plain);
  });

  test('nothing for what a loss does not use: zero, where that is asked for', async () => {
    await collected([() => mseToConstant(linear(x, parameter('w'), parameter('b')), 0)], ['b', 'w'], 'zero');
    expect([...(await read(gpu.device, gradientOf('a')))]).toEqual(Array(C).fill(0));
  });
});

describe('collecting refuses', () => {
  const step = (build: (collecting: Collection) => void) =>
    evaluate(gpu.device, () => {
      build(collection(ensemble, gradientGroup));
      return {};
    });

  test('a parameter without influence, unless told that it counts as zero', async () => {
    const loss = () => mseToConstant(linear(x, parameter('w'), parameter('b')), 0);
    const one = step((c) => collect(c, 'net', [[loss()], [scalar(1)]]));
    await expect(one).rejects.toThrow(/net\.a \[64\] does not influence the loss; \{ missing: 'zero' \}/);
    const other = step((c) =>
      collect(c, 'net', [[mseToConstant(parameter('a'), 0)], [scalar(1)]], [x], { missing: 'zero' }),
    );
    await expect(other, 'what is handed on must exist').rejects.toThrow(/x \[1,64\] does not influence/);
  });

  test('a step of the optimiser with gradients that nobody collected', async () => {
    const one = step((c) => optimise(c, ['net'], hyper, {}));
    await expect(one).rejects.toThrow(/optimise: no gradient of net\.a \[64\] was collected/);
  });
});
