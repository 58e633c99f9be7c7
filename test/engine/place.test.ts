import { describe, expect, test } from 'vitest';
import { add, addInto } from '../../engine/ops/add.ts';
import { concat, copyInto } from '../../engine/ops/concat.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { memoised } from '../../engine/record/memo.ts';
import { place } from '../../engine/record/place.ts';
import { intermediate, reshape } from '../../engine/record/recorder.ts';
import { flatBuffer, type Tensor, windowOf } from '../../engine/record/tensor.ts';
import { evaluate, read, upload } from '../../engine/run/transfer.ts';
import { values } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { tensorsOn } from './tensors.ts';

const gpu = useDevice();

const { put, ones, free, recordOnly } = tensorsOn(gpu);

describe('place', () => {
  /** A flat buffer of two parts of 64 floats, ones. */
  function parts() {
    const flat = flatBuffer(
      gpu.device,
      ['first', 'second'].map((label) => ({ label, shape: [64] })),
      'flat',
    );
    for (const view of flat.views) upload(gpu.device, view, new Float32Array(64).fill(1));
    return flat;
  }

  test('has a result computed in memory that stays', async () => {
    const [x, flat] = [ones(64, 'x'), parts()];
    const [at, other] = flat.views;
    await evaluate(gpu.device, () => {
      place(reshape(add(x, x), [8, 8]), at);
      return {};
    });
    expect((await read(gpu.device, at))[63]).toBe(2);
    expect((await read(gpu.device, other))[0]).toBe(1);
    free(x);
    gpu.device.pool.release(flat.buffer);
  });

  test('refuses what would move a write before a launch that uses the memory', () => {
    const [x, flat] = [ones(64, 'x'), parts()];
    const [at] = flat.views;
    const read = () => {
      const g = add(x, x);
      add(at, x);
      place(g, at);
    };
    const written = () => {
      const g = add(x, x);
      copyInto(at, x);
      place(g, at);
    };
    const torn = () => place(add(flat.views[1], x), at);
    expect(() => recordOnly(read)).toThrow(/place: .* at first \[64\]: add uses that memory after.*copyInto/);
    expect(() => recordOnly(written)).toThrow(/concat\.copyInto uses that memory after/);
    expect(() => recordOnly(torn)).toThrow(/add would read and write one buffer/);
    free(x);
    gpu.device.pool.release(flat.buffer);
  });

  test('refuses what has memory, another size, or is part of another result', () => {
    const [x, flat] = [ones(64, 'x'), parts()];
    const [at, other] = flat.views;
    const twice = () => {
      const g = add(x, x);
      place(g, at);
      place(g, other);
    };
    expect(() => recordOnly(twice)).toThrow(/lives in memory of its own already/);
    expect(() => recordOnly(() => place(concat([x, x], 0), at))).toThrow(/512 bytes are no 256/);
    expect(() => recordOnly(() => place(windowOf(concat([x, x], 0), 64, [64]), at))).toThrow(
      /part of another/,
    );
    expect(() => recordOnly(() => place(intermediate([64]), at))).toThrow(/no launch computes/);
    expect(() => recordOnly(() => place(add(x, x), intermediate([64])))).toThrow(/is an intermediate itself/);
    free(x);
    gpu.device.pool.release(flat.buffer);
  });

  test('takes memoised results of the memory for old, and keeps those of the result', () => {
    const [x, flat] = [ones(64, 'x'), parts()];
    const [at] = flat.views;
    let made = 0;
    const remembered = (of: Tensor) => memoised('test', [of], () => ++made);
    recordOnly(() => {
      expect(remembered(at)).toBe(1);
      const g = add(x, x);
      expect(remembered(g)).toBe(2);
      place(g, at);
      expect(remembered(g), 'the same values').toBe(2);
      expect(remembered(at), 'other values').toBe(3);
      expect(remembered(at)).toBe(3);
    });
    free(x);
    gpu.device.pool.release(flat.buffer);
  });

  test('a padded picture is padded again after the picture was overwritten in place', async () => {
    const picture = (seed: number) => put([1, 4, 4, 4], values([1, 4, 4, 4], seed).data);
    const [x, other, w] = [picture(1), picture(2), put([4, 3, 3, 4], values([4, 3, 3, 4], 3).data)];
    const direct = await evaluate(gpu.device, () => ({ y: conv2d(other, w, null, { pad: 1 }) }));
    const { before, after } = await evaluate(gpu.device, () => {
      const y = conv2d(x, w, null, { pad: 1 });
      copyInto(x, other);
      return { before: y, after: conv2d(x, w, null, { pad: 1 }) };
    });
    expect(after).toEqual(direct.y);
    expect(before).not.toEqual(after);
    free(x, other, w);
  });
});

describe('what was memoised', () => {
  test('is made again after a write to any of its sources, to a part of one too, and to nothing else', () => {
    const [x, y, z] = [ones(128, 'x'), ones(64, 'y'), ones(64, 'z')];
    const flat = flatBuffer(
      gpu.device,
      [
        { label: 'own', shape: [64] },
        { label: 'neighbour', shape: [64] },
      ],
      'f',
    );
    const [own, neighbour] = flat.views;
    let made = 0;
    const remembered = (...of: Tensor[]) => memoised('test', of, () => ++made);
    recordOnly(() => {
      expect([remembered(x, y), remembered(x, y)]).toEqual([1, 1]);
      copyInto(windowOf(x, 64, [64]), z);
      expect(remembered(x, y)).toBe(2);
      expect(remembered(windowOf(x, 0, [64])), 'a window is a source of its own').toBe(3);
      addInto(y, z);
      expect(remembered(x, y)).toBe(4);
      expect(remembered(own)).toBe(5);
      addInto(neighbour, z);
      expect(remembered(own)).toBe(5);
      addInto(own, z);
      expect(remembered(own)).toBe(6);
    });
    free(x, y, z);
    gpu.device.pool.release(flat.buffer);
  });
});
