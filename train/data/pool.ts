import { Worker } from 'node:worker_threads';
import { DataError, reason } from './errors.ts';
import { makeSample, type Sample, type SampleTask } from './sample.ts';
import type { Source } from './source.ts';

export interface Request {
  readonly id: number;
  readonly task: SampleTask;
}

/** What a thread answers: the sample, or why its picture cannot be read. */
export type Reply = { id: number; sample: Sample } | { id: number; unreadable: string };

/** Makes samples on other threads. */
export interface SamplePool {
  /** Makes a sample; rejects with UnreadablePicture, or with a DataError when a thread has died. */
  run(task: SampleTask): Promise<Sample>;
  /** While held, the process stays alive for the threads' answers. */
  hold(held: boolean): void;
  close(): Promise<void>;
}

/** A picture that cannot be decoded; the message names the file. */
export class UnreadablePicture extends DataError {}

/** Tasks given to a thread ahead of its answers: one in work, one waiting, so that it never idles for a message. */
const TASKS_PER_THREAD = 2;

/** A pool of `threads` worker threads over `sources`; with 0 threads samples are made on the calling thread. */
export function createPool(sources: readonly Source[], threads: number): SamplePool {
  return threads > 0 ? createThreadPool(sources, threads) : createLocalPool(sources);
}

function createLocalPool(sources: readonly Source[]): SamplePool {
  return {
    async run(task) {
      return makeSample(sources, task).catch((error) => {
        throw error instanceof DataError ? new UnreadablePicture(error.message) : error;
      });
    },
    hold() {},
    async close() {},
  };
}

interface Job {
  readonly task: SampleTask;
  readonly resolve: (sample: Sample) => void;
  readonly reject: (error: Error) => void;
}

function createThreadPool(sources: readonly Source[], threads: number): SamplePool {
  const waiting: Job[] = [];
  const running = new Map<number, Job>();
  let lastId = 0;
  let failure: DataError | undefined;
  let held = false;
  let closed = false;

  const fail = (error: DataError) => {
    if (closed) return;
    failure ??= error;
    for (const job of [...running.values(), ...waiting.splice(0)]) job.reject(failure);
    running.clear();
  };

  const load = new Map<Worker, number>();
  for (let i = 0; i < threads; i++) {
    const worker = startWorker(sources);
    load.set(worker, 0);
    worker.on('message', (reply: Reply) => {
      const job = running.get(reply.id);
      running.delete(reply.id);
      load.set(worker, load.get(worker)! - 1);
      dispatch();
      if ('sample' in reply) job?.resolve(reply.sample);
      else job?.reject(new UnreadablePicture(reply.unreadable));
    });
    worker.on('error', (error) => fail(new DataError(`a picture thread has died: ${reason(error)}`)));
    worker.on('exit', (code) =>
      fail(new DataError(`a picture thread has ended by itself (exit code ${code})`)),
    );
    worker.unref();
  }

  const dispatch = () => {
    while (waiting.length > 0) {
      const [worker, busy] = [...load].reduce((best, entry) => (entry[1] < best[1] ? entry : best));
      if (busy >= TASKS_PER_THREAD) return;
      const job = waiting.shift()!;
      const id = ++lastId;
      running.set(id, job);
      load.set(worker, busy + 1);
      worker.postMessage({ id, task: job.task } satisfies Request);
    }
  };

  return {
    run(task) {
      if (failure) return Promise.reject(failure);
      if (closed) return Promise.reject(new DataError('the picture loader is closed'));
      return new Promise((resolve, reject) => {
        waiting.push({ task, resolve, reject });
        dispatch();
      });
    },
    hold(hold) {
      if (hold === held) return;
      held = hold;
      for (const worker of load.keys()) hold ? worker.ref() : worker.unref();
    },
    async close() {
      fail(new DataError('the picture loader is closed'));
      closed = true;
      await Promise.all([...load.keys()].map((worker) => worker.terminate()));
    },
  };
}

/** Threads run the .ts files as they stand: worker-start.js sets up tsx. */
function startWorker(sources: readonly Source[]): Worker {
  const file = new URL('worker-start.js', import.meta.url);
  return new Worker(file, { workerData: sources, execArgv: [] });
}
