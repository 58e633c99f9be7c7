import { describe, expect, test } from 'vitest';
import { type Device, finish, memory, withinMemory } from '../../engine/device/device.ts';
import { paperDevice } from '../../engine/device/paper.ts';
import { Pool } from '../../engine/device/pool.ts';
import { add, addInto } from '../../engine/ops/add.ts';
import { concat } from '../../engine/ops/concat.ts';
import { intermediate, launch, reshape } from '../../engine/record/recorder.ts';
import { allocate, flatBuffer, flatRange, release, windowOf } from '../../engine/record/tensor.ts';
import { dispose, record, run } from '../../engine/run/program.ts';
import { read, upload } from '../../engine/run/transfer.ts';
import { useDevice } from '../device.ts';
import { tensorsOn } from './tensors.ts';

const gpu = useDevice();

const { ones, free, recordOnly } = tensorsOn(gpu);

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

describe('memory that the GPU refuses', () => {
  /** A device whose buffers of this many bytes cannot be had: Dawn makes invalid ones of them. */
  function withoutRoomFor(bytes: number): Device {
    const { gpu: real } = gpu.device;
    const createBuffer = (parts: GPUBufferDescriptor) => {
      if (parts.size !== bytes) return real.createBuffer(parts);
      const invalid = real.createBuffer({ ...parts, size: real.limits.maxBufferSize + 4 });
      return Object.defineProperty(invalid, 'size', { value: bytes });
    };
    let scopes: GPUErrorFilter[] = [];
    const overrides: Record<string, unknown> = {
      createBuffer,
      pushErrorScope(filter: GPUErrorFilter) {
        scopes = [...scopes, filter];
        real.pushErrorScope(filter);
      },
      async popErrorScope() {
        const filter = scopes[scopes.length - 1];
        scopes = scopes.slice(0, -1);
        const error = await real.popErrorScope();
        return filter === 'out-of-memory' ? { message: 'refused' } : error;
      },
    };
    const get = (target: GPUDevice, name: keyof GPUDevice) => {
      if (name in overrides) return overrides[name];
      const value = target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    };
    const stub = new Proxy(real, { get: get as ProxyHandler<GPUDevice>['get'] });
    return { ...gpu.device, gpu: stub, pool: new Pool(stub), failure: null };
  }

  test('is told in one sentence, and harms nothing else', async () => {
    const device = withoutRoomFor(4096);
    const parts = [{ label: 'weight', shape: [1024] }];
    const refused = withinMemory(
      device,
      () => flatBuffer(device, parts, 'parameters'), // clears the buffer, which is invalid
      ({ buffer }) => device.pool.release(buffer),
    );
    await expect(refused).rejects.toThrow(/the GPU is out of memory \(0 MiB in use, 1 MiB more needed\)/);
    expect(memory(device)).toMatchObject({ live: 0, pooled: 0 });
    await finish(gpu.device);
    await new Promise((wake) => setTimeout(wake, 50)); // news of errors comes by events
    expect(gpu.device.failure).toBeNull();
  });
});
