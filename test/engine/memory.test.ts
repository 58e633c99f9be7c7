import { describe, expect, test } from 'vitest';
import { memory } from '../../engine/device.ts';
import { memoised } from '../../engine/memo.ts';
import { add, addInto } from '../../engine/ops/add.ts';
import { concat, copyInto } from '../../engine/ops/concat.ts';
import { conv2d } from '../../engine/ops/conv2d.ts';
import { paperDevice } from '../../engine/paper.ts';
import { place } from '../../engine/place.ts';
import { dispose, record, run, trace } from '../../engine/program.ts';
import { intermediate, launch, reshape } from '../../engine/recorder.ts';
import { allocate, flatBuffer, flatRange, release, type Tensor, windowOf } from '../../engine/tensor.ts';
import { evaluate, read, tensorFrom, upload } from '../../engine/transfer.ts';
import { values } from '../cases/types.ts';
import { useDevice } from '../device.ts';

const gpu = useDevice();

const put = (shape: number[], data: Iterable<number>, label = 'x') =>
  tensorFrom(gpu.device, Float32Array.from(data), shape, label);
const ones = (count: number, label: string) => put([count], Array(count).fill(1), label);
const free = (...tensors: Tensor[]) => {
  for (const tensor of tensors) release(gpu.device, tensor);
};

/** Records without running. */
function recordOnly(build: () => void): void {
  trace(gpu.device, () => {
    build();
    return {};
  });
}

describe('what was released', () => {
  test('cannot be released again, and its memory is nobody else’s twice', () => {
    const x = ones(64, 'x');
    release(gpu.device, x);
    expect(() => release(gpu.device, x)).toThrow(/release: x \[64\] was released before/);
    const [a, b] = [ones(64, 'a'), ones(64, 'b')];
    expect(a.storage!.buffer).not.toBe(b.storage!.buffer);
    expect(() => release(gpu.device, x), 'its buffer is a by now').toThrow(/was released before/);
    free(a, b);
  });

  test('cannot be read, written, or bound', async () => {
    const [x, y] = [ones(64, 'x'), ones(64, 'y')];
    const view = windowOf(x, 0, [64]);
    release(gpu.device, x);
    const next = ones(64, 'next'); // takes the buffer over
    expect(next.storage!.buffer).toBe(x.storage!.buffer);
    await expect(read(gpu.device, x)).rejects.toThrow(/read: x \[64\] was released before/);
    expect(() => upload(gpu.device, x, new Float32Array(64))).toThrow(/upload: x \[64\] was released before/);
    for (const gone of [x, view]) {
      expect(() => recordOnly(() => add(y, gone))).toThrow(/add: x \[64\] was released before/);
    }
    free(next, y);
  });

  test('stops a program that uses it', async () => {
    const [x, y] = [ones(64, 'x'), ones(64, 'y')];
    const program = await record(gpu.device, () => ({ z: add(x, y) }));
    release(gpu.device, x);
    expect(() => run(program)).toThrow(/run: x, which the program uses, was released before/);
    dispose(program);
    free(y);
  });

  test('may be a part of a flat buffer only as a whole', () => {
    const flat = flatBuffer(gpu.device, [{ label: 'part', shape: [64] }], 'flat');
    expect(() => release(gpu.device, flat.views[0])).toThrow(/part \[64\] has no memory of its own/);
    gpu.device.pool.release(flat.buffer);
    expect(() => gpu.device.pool.release(flat.buffer)).toThrow(/flat was released before/);
    const range = flatRange(flat, 0, 64, 'range');
    expect(() => recordOnly(() => add(range, range))).toThrow(/range \[64\] was released before/);
  });

  test('was a program: it does not run, its outputs are gone, and it is disposed of once', async () => {
    const x = ones(64, 'x');
    const program = await record(gpu.device, () => ({ y: add(x, x) }));
    run(program);
    dispose(program);
    expect(() => run(program)).toThrow(/run: the program was disposed of before/);
    expect(() => dispose(program)).toThrow(/dispose: the program was disposed of before/);
    await expect(read(gpu.device, program.outputs.y)).rejects.toThrow(/read: add \[64\] was released before/);
    free(x);
  });

  test('is counted right, destroyed or kept', () => {
    const { pool } = gpu.device;
    const before = memory(gpu.device);
    const staging = pool.acquireStaging(10_000);
    pool.destroy(staging);
    expect(memory(gpu.device).live).toBe(before.live);
    expect(() => pool.release(staging)).toThrow(/staging was released before/);
  });
});

describe('a launch', () => {
  test('cannot read what nobody computed', () => {
    expect(() => recordOnly(() => add(intermediate([64], 'nothing'), intermediate([64])))).toThrow(
      /add: reads nothing \[64\], which no launch has computed yet/,
    );
  });

  test('cannot read a buffer and write it, even in another part', () => {
    const [x, y] = [ones(128, 'x'), ones(64, 'y')];
    const [first, second] = [0, 64].map((start) => windowOf(x, start, [64]));
    const message = /add\.into: reads x \[64\] and writes x \[64\], which lie in one buffer/;
    expect(() => recordOnly(() => addInto(first, second))).toThrow(message);
    expect(() => recordOnly(() => addInto(first, first))).toThrow(message);
    const own = () => {
      const z = concat([y, y], 0);
      const kernel = { kernel: 'add/into', constants: { N4: 16, WG: 64 }, label: 'add.into' };
      launch({ ...kernel, bind: [windowOf(z, 0, [64]), windowOf(z, 64, [64])], grid: [1, 1, 1] });
    };
    expect(() => recordOnly(own)).toThrow(/add\.into: reads concat .* lie in one buffer/);
    free(x, y);
  });

  test('cannot use a tensor of another device', () => {
    const x = allocate(paperDevice(gpu.device), [64], 'elsewhere');
    expect(() => recordOnly(() => add(x, x))).toThrow(/elsewhere \[64\] is of another device/);
  });
});

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

describe('what a program gives out', () => {
  test('can be read and written by another, a window or another shape of a result too', async () => {
    const x = ones(128, 'x');
    const first = await record(gpu.device, () => {
      const y = add(x, x);
      return { whole: reshape(y, [2, 64]), part: windowOf(y, 64, [64]) };
    });
    const { whole, part } = first.outputs;
    const second = await record(gpu.device, () => {
      addInto(part, windowOf(x, 0, [64]));
      return {};
    });
    run(first);
    run(second);
    const all = await read(gpu.device, whole);
    expect([all[0], all[63], all[64], all[127]]).toEqual([2, 2, 3, 3]);
    const third = await record(gpu.device, () => ({ z: add(whole, whole) }));
    run(third);
    expect((await read(gpu.device, third.outputs.z))[127]).toBe(6);
    for (const program of [third, second, first]) dispose(program);
    free(x);
  });
});
