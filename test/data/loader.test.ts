import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preprocess } from '../../train/data/augment.ts';
import { decodeFile } from '../../train/data/decode.ts';
import { openDataset } from '../../train/data/folder.ts';
import { type Batch, createLoader, type LoaderOptions } from '../../train/data/loader.ts';
import { createOrder } from '../../train/data/order.ts';
import { writePng } from '../../train/data/png.ts';
import { createPool } from '../../train/data/pool.ts';
import { keyedRandom } from '../../train/data/random.ts';
import type { FileSource, Source } from '../../train/data/source.ts';
import { toyDataset } from '../../train/data/toy/dataset.ts';
import { drawToy } from '../../train/data/toy/draw.ts';

let root: string;
let trainA: FileSource;
let trainB: FileSource;
const size = 24;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-loader-'));
  for (let i = 0; i < 5; i++) await writePng(join(root, 'trainA', `${i}.png`), drawToy('cat', i, 40));
  for (let i = 0; i < 3; i++) await writePng(join(root, 'trainB', `${i}.png`), drawToy('dog', i, 32));
  await mkdir(join(root, 'testA'));
  await writePng(join(root, 'testA', 'x.png'), drawToy('cat', 9, 48));
  ({ trainA, trainB } = (await openDataset(root)) as unknown as { trainA: FileSource; trainB: FileSource });
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function take(steps: number, options: Partial<LoaderOptions>): Promise<Batch[]> {
  const loader = createLoader({ trainA, trainB, size, seed: 7, threads: 0, ...options });
  try {
    const batches: Batch[] = [];
    for (let i = 0; i < steps; i++) batches.push(await loader.next());
    return batches;
  } finally {
    await loader.close();
  }
}

// Starting threads takes a second each on a busy machine.
const patience = { timeout: 60_000 };

describe('the training stream', patience, () => {
  it('is the same with any number of threads, any queue and any cache', async () => {
    const plain = await take(9, { batch: 2 });
    expect(plain[0].a.length).toBe(2 * size * size * 3);
    for (const options of [{ threads: 1, ahead: 7 }, { threads: 3, cacheBytes: 0 }, { ahead: 1 }]) {
      expect(await take(9, { batch: 2, ...options })).toEqual(plain);
    }
  });

  it('continues bit for bit from any step', async () => {
    const all = await take(12, { batch: 3 });
    expect(await take(5, { batch: 3, startStep: 7, threads: 1 })).toEqual(all.slice(7));
  });

  it('differs by seed, and every epoch', async () => {
    const [first] = await take(1, {});
    const [other] = await take(1, { seed: 8 });
    expect(other).not.toEqual(first);
    const epochs = [0, 1, 2].map((e) =>
      Array.from({ length: 50 }, (_, i) => createOrder(50, true, 1, 0).at(50 * e + i)),
    );
    for (const order of epochs) expect([...order].sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
    expect(epochs[1]).not.toEqual(epochs[0]);
    expect(epochs[2]).not.toEqual(epochs[1]);
  });

  it('gives sorted, merely resized pictures on request, each domain in its own rhythm', async () => {
    const batches = await take(7, { augment: false, shuffle: false });
    for (const [i, { a, b }] of batches.entries()) {
      expect(a).toEqual(preprocess(await decodeFile(trainA.files[i % 5]), size));
      expect(b).toEqual(preprocess(await decodeFile(trainB.files[i % 3]), size));
    }
  });

  it('shows transparent pictures over the background of their source, on any thread', async () => {
    const rgba = Buffer.alloc(size * size * 4, Uint8Array.of(10, 200, 30, 0));
    const clear = join(root, 'clear.png');
    await sharp(rgba, { raw: { width: size, height: size, channels: 4 } })
      .png()
      .toFile(clear);
    for (const [background, red] of [
      [undefined, 10],
      [[255, 255, 255] as const, 255],
    ] as const) {
      const source: Source = { ...trainA, files: [clear], background };
      for (const threads of [0, 1]) {
        const [{ a }] = await take(1, { trainA: source, threads });
        expect(a[0]).toBeCloseTo((red / 255 - 0.5) / 0.5, 6);
      }
    }
  });

  it('lists test pictures by name', async () => {
    const { testA, testB } = await openDataset(root);
    const loader = createLoader({ trainA, trainB, testA, testB, size, threads: 1 });
    const test = await loader.loadTest(16);
    await loader.close();
    expect(test.b).toEqual([]);
    expect(test.a.map((p) => p.name)).toEqual(['x.png']);
    expect(test.a[0].values).toEqual(preprocess(drawToy('cat', 9, 48), 16));
  });

  it('feeds on the drawn data set', async () => {
    const toy = toyDataset({ train: 4, test: 1 });
    const [batch] = await take(1, { trainA: toy.trainA, trainB: toy.trainB, threads: 1 });
    expect(batch.a.some((v) => v !== batch.b[0])).toBe(true);
    expect(Math.min(...batch.a) >= -1 && Math.max(...batch.b) <= 1).toBe(true);
  });
});

describe('when things go wrong', patience, () => {
  const broken = async (names: string[]): Promise<FileSource> => {
    const files = names.map((name) => join(root, name));
    for (const file of files) await writeFile(file, 'not a picture');
    return { kind: 'files', label: 'broken', files };
  };

  it('reports an unreadable picture once and goes on with the next, on any number of threads', async () => {
    const bad = await broken(['bad.png']);
    const mixed: Source = { ...trainB, files: [trainB.files[0], ...bad.files, trainB.files[1]] };
    const results: Batch[][] = [];
    for (const threads of [0, 2]) {
      const told: string[] = [];
      results.push(await take(12, { trainB: mixed, threads, warn: (message) => told.push(message) }));
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(/bad\.png is a text file, not a picture; remove or replace it$/);
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('ends with one clear error when nothing is readable or there', async () => {
    const bad = await broken(['bad1.png', 'bad2.png']);
    await expect(take(1, { trainA: bad, threads: 1, warn: () => {} })).rejects.toThrow(
      'broken: none of its 2 pictures can be read',
    );
    const none: Source = { kind: 'files', label: 'empty/trainA', files: [] };
    expect(() => createLoader({ trainA: none, trainB, size })).toThrow(
      'empty/trainA holds no pictures to train with',
    );
  });

  it('turns the crash of a thread into one error for all who wait', async () => {
    const pool = createPool([null as unknown as Source], 1);
    pool.hold(true);
    const task = { source: 0, index: 0, size, keep: false };
    const results = await Promise.allSettled([pool.run(task), pool.run(task), pool.run(task)]);
    for (const result of results) {
      expect(result.status === 'rejected' && result.reason.message).toMatch(
        /^a picture thread has died: Cannot read/,
      );
    }
    await expect(pool.run(task)).rejects.toThrow('a picture thread has died');
    await pool.close();
  });

  it('rejects what is asked after closing', async () => {
    const loader = createLoader({ trainA, trainB, size, threads: 1, ahead: 1 });
    await loader.next();
    await loader.close();
    await loader.next().catch(() => {});
    await expect(loader.next()).rejects.toThrow('the picture loader is closed');
  });
});

describe('keyed random numbers', () => {
  it('depend on every key and are uniform', () => {
    const first = (...keys: number[]) => keyedRandom(...keys)();
    const values = [
      first(1, 2, 3),
      first(1, 2, 4),
      first(1, 3, 3),
      first(2, 2, 3),
      first(1, 2, 3 + 2 ** 32),
      first(1, 2),
    ];
    expect(new Set(values).size).toBe(values.length);
    expect(first(1, 2, 3)).toBe(values[0]);
    const bins = new Array(10).fill(0);
    for (let k = 0; k < 20000; k++) bins[Math.floor(first(5, 2, 0, k) * 10)]++;
    for (const bin of bins) expect(Math.abs(bin - 2000)).toBeLessThan(200); // 4.7 standard deviations
  });
});
