import { describe, expect, test } from 'vitest';
import { untilDone } from '../../engine/device/waiting.ts';
import { grid1d, launch } from '../../engine/record/recorder.ts';
import { allocate, release } from '../../engine/record/tensor.ts';
import { record, run } from '../../engine/run/program.ts';
import { useDevice } from '../device.ts';

const gpu = useDevice();
const processor = { isCpu: true };

describe('untilDone', () => {
  test('gives what the promise gives, and throws what it throws', async () => {
    expect(await untilDone(processor, Promise.resolve(7))).toBe(7);
    await expect(untilDone(processor, Promise.reject(new Error('lost')))).rejects.toThrow('lost');
    const later = new Promise((_, fail) => setTimeout(() => fail(new Error('late')), 5));
    await expect(untilDone(processor, later)).rejects.toThrow('late');
  });

  test('lets timers and other waits have their turns', async () => {
    const order: string[] = [];
    const timer = (name: string, ms: number) =>
      new Promise<void>((wake) => {
        setTimeout(() => {
          order.push(name);
          wake();
        }, ms);
      });
    await Promise.all([untilDone(processor, timer('long', 60)), untilDone(processor, timer('short', 20))]);
    expect(order).toEqual(['short', 'long']);
  });

  test('does not poll: that would take a core from a processor that plays a GPU', async ({ skip }) => {
    const { device } = gpu;
    skip(!device.isCpu, 'a GPU is looked at more often');
    const floats = 2 ** 22;
    const [x, y] = ['x', 'y'].map((label) => allocate(device, [floats], label));
    const program = await record(device, () => {
      for (let i = 0; i < 60; i++) {
        launch({
          kernel: 'measure/copy',
          constants: { N4: floats / 4, WG: 8, PER: 64 },
          label: 'copy',
          bind: i % 2 === 0 ? [x, y] : [y, x],
          grid: grid1d(floats / 4 / 64, 8),
        });
      }
      return {};
    });
    let turns = 0;
    let waiting = true;
    const count = () => {
      turns++;
      if (waiting) setImmediate(count);
    };
    const start = performance.now();
    run(program);
    setImmediate(count);
    await untilDone(device, device.gpu.queue.onSubmittedWorkDone());
    waiting = false;
    // Who polls makes hundreds of turns of the event loop in a millisecond; who naps, one in two.
    expect(turns).toBeGreaterThan(0);
    expect(turns).toBeLessThan(performance.now() - start);
    for (const tensor of [x, y]) release(device, tensor);
  });
});
