import { availableParallelism } from 'node:os';
import { drawAugmentation } from './augment.ts';
import { DataError } from './errors.ts';
import { createOrder, type Order, STREAM } from './order.ts';
import type { Picture } from './picture.ts';
import { createPool, type SamplePool, UnreadablePicture } from './pool.ts';
import { keyedRandom } from './random.ts';
import type { Sample, SampleTask } from './sample.ts';
import { countPictures, pictureName, type Source } from './source.ts';

export interface LoaderOptions {
  trainA: Source;
  trainB: Source;
  /** For loadTest; default none. */
  testA?: Source;
  testB?: Source;
  /** Side of the samples in pixels. */
  size: number;
  /** Samples per domain in a batch; default 1. */
  batch?: number;
  /** Default 0. */
  seed?: number;
  /** Mirror and crop at random as the authors do (default), or only resize. */
  augment?: boolean;
  /** A new order each epoch (default), or always the sorted one. */
  shuffle?: boolean;
  /**
   * Threads that decode; 0 decodes on the calling thread. Default: the machine's cores less one, at most 4.
   */
  threads?: number;
  /** The step whose batch comes first: as if that many batches had been taken already. Default 0. */
  startStep?: number;
  /** Batches made ahead of the training; default 4. */
  ahead?: number;
  /** Memory for resized pictures, so that later epochs need no decoding; default 512 MiB. */
  cacheBytes?: number;
  /** Told once about each unreadable picture; default console.warn. */
  warn?: (message: string) => void;
}

/** One step's pictures: batch x size x size x 3 values (NHWC) in [-1, 1] of each domain. */
export interface Batch {
  a: Float32Array<ArrayBuffer>;
  b: Float32Array<ArrayBuffer>;
}

/** A test picture, only resized: size x size x 3 values (HWC) in [-1, 1]. */
export interface TestPicture {
  name: string;
  values: Float32Array<ArrayBuffer>;
}

export interface Loader {
  /** Training pictures per domain, unreadable ones included. */
  readonly counts: { a: number; b: number };
  /** The next step's batch. Rejects with DataError when no readable picture is left or a thread has died. */
  next(): Promise<Batch>;
  /** The test pictures in sorted order, unreadable ones left out; at most `limit` of each domain. */
  loadTest(size?: number, limit?: number): Promise<{ a: TestPicture[]; b: TestPicture[] }>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/**
 * The endless stream of training batches. Sample k of a domain depends on (seed, k) and the pictures only:
 * which picture, how mirrored, how cropped. So the stream is the same for any number of threads, and a loader
 * with `startStep: n` continues an interrupted one bit for bit. Pictures are decoded on other threads, ahead
 * of the training.
 *
 * Both domains are shuffled independently each epoch and restart independently when exhausted, as the
 * authors' two iterators do. A picture that cannot be decoded is reported once and replaced by the next one
 * of its epoch.
 */
export function createLoader(options: LoaderOptions): Loader {
  const { size, batch = 1, startStep = 0, ahead = 4 } = options;
  const sources = checkedSources(options);
  const threads = options.threads ?? Math.max(1, Math.min(4, availableParallelism() - 1));
  const pool = createPool(sources, threads);
  const warn = once(options.warn ?? console.warn);
  const cache = createCache(options.cacheBytes ?? 512 * 2 ** 20);
  const streams = [0, 1].map((domain) => createStream(domain, sources[domain], options, pool, cache, warn));
  const queue: Promise<Batch>[] = [];
  let step = startStep;

  const enqueue = () => {
    const first = step++ * batch;
    const samples = streams.map((stream) =>
      Promise.all(Array.from({ length: batch }, (_, i) => stream(first + i))),
    );
    const made = Promise.all(samples).then(([a, b]) => ({ a: join(a, size), b: join(b, size) }));
    made.catch(() => {}); // it is reported when its turn comes
    queue.push(made);
  };

  return {
    counts: { a: countPictures(options.trainA), b: countPictures(options.trainB) },
    async next() {
      while (queue.length < Math.max(1, ahead)) enqueue();
      pool.hold(true);
      try {
        return await queue.shift()!;
      } finally {
        pool.hold(false);
        enqueue();
      }
    },
    async loadTest(testSize = size, limit = Number.POSITIVE_INFINITY) {
      const load = (source?: Source) =>
        source ? loadAll(source, sources.indexOf(source), testSize, limit, pool, warn) : [];
      return { a: await load(options.testA), b: await load(options.testB) };
    },
    close: () => pool.close(),
  };
}

/** All sources, the training ones first. Throws DataError when one of those is empty. */
function checkedSources({ trainA, trainB, testA, testB }: LoaderOptions): Source[] {
  for (const source of [trainA, trainB]) {
    if (countPictures(source) === 0) throw new DataError(`${source.label} holds no pictures to train with`);
  }
  return [trainA, trainB, testA, testB].filter((source) => source !== undefined);
}

/** Sample k of one domain. */
type Stream = (k: number) => Promise<Float32Array<ArrayBuffer>>;

function createStream(
  domain: number,
  source: Source,
  options: LoaderOptions,
  pool: SamplePool,
  cache: Cache,
  warn: (message: string) => void,
): Stream {
  const { size, seed = 0, augment = true, shuffle = true } = options;
  const count = countPictures(source);
  const order: Order = createOrder(count, shuffle, seed, domain);
  const unreadable = new Set<number>();
  return async (k) => {
    const augmentation = augment ? drawAugmentation(keyedRandom(seed, STREAM.augment, domain, k)) : undefined;
    for (let attempt = 0; attempt < count; attempt++) {
      const index = order.at(k, attempt);
      if (unreadable.has(index)) continue;
      const key = `${domain}:${index}:${augmentation?.flip ?? false}`;
      const task: SampleTask = { source: domain, index, size, augmentation, ...cache.look(key) };
      try {
        const sample = await pool.run(task);
        cache.keep(key, sample);
        return sample.values;
      } catch (error) {
        if (!(error instanceof UnreadablePicture)) throw error;
        // Two samples of one picture can be in work at once, and its error need not have the same words.
        if (!unreadable.has(index)) warn(error.message);
        unreadable.add(index);
      }
    }
    throw new DataError(`${source.label}: none of its ${count} pictures can be read`);
  };
}

async function loadAll(
  source: Source,
  number: number,
  size: number,
  limit: number,
  pool: SamplePool,
  warn: (message: string) => void,
): Promise<TestPicture[]> {
  pool.hold(true);
  try {
    const pictures: TestPicture[] = [];
    const count = countPictures(source);
    // In portions, so that `limit` good ones are found without decoding everything.
    for (let start = 0; start < count && pictures.length < limit; ) {
      const end = Math.min(count, start + Math.min(64, limit - pictures.length));
      const indices = Array.from({ length: end - start }, (_, i) => start + i);
      const samples = await Promise.allSettled(
        indices.map((index) => pool.run({ source: number, index, size, keep: false })),
      );
      samples.forEach((result, i) => {
        if (result.status === 'fulfilled') {
          pictures.push({ name: pictureName(source, start + i), values: result.value.values });
        } else if (result.reason instanceof UnreadablePicture) warn(result.reason.message);
        else throw result.reason;
      });
      start = end;
    }
    return pictures;
  } finally {
    pool.hold(false);
  }
}

function join(samples: Float32Array<ArrayBuffer>[], size: number): Float32Array<ArrayBuffer> {
  if (samples.length === 1) return samples[0];
  const area = size * size * 3;
  const out = new Float32Array(samples.length * area);
  samples.forEach((values, i) => {
    out.set(values, i * area);
  });
  return out;
}

interface Cache {
  look(key: string): { prepared?: Picture; keep: boolean };
  keep(key: string, sample: Sample): void;
}

/**
 * Keeps resized pictures until the budget is full, and then those for good: an epoch visits each picture
 * once, so throwing out the oldest would throw out just what comes next.
 */
function createCache(budget: number): Cache {
  const pictures = new Map<string, Picture>();
  let bytes = 0;
  return {
    look: (key) => ({ prepared: pictures.get(key), keep: bytes < budget }),
    keep(key, { prepared }) {
      if (!prepared || pictures.has(key) || bytes + prepared.data.length > budget) return;
      bytes += prepared.data.length;
      pictures.set(key, prepared);
    },
  };
}

function once(warn: (message: string) => void): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (!told.has(message)) warn(message);
    told.add(message);
  };
}
