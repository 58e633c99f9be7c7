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
  /** While anyone holds it, the process stays alive for the threads' answers. */
  hold(held: boolean): void;
  close(): Promise<void>;
}

/** A picture that cannot be decoded; the message names the file. */
export class UnreadablePicture extends DataError {}

/**
 * Tasks given to a thread ahead of its answers: one in work, one waiting, so that it never idles for a
 * message.
 */
const TASKS_PER_THREAD = 2;

/**
 * A pool of `threads` worker threads over `sources`; with 0 threads samples are made on the calling thread.
 */
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

/** The jobs of a pool: those no thread has yet, and those in work by number. */
interface Jobs {
  readonly waiting: Job[];
  readonly running: Map<number, Job>;
  /** Tasks that each thread has been given and not answered. */
  readonly load: Map<Worker, number>;
  lastId: number;
  /** Why no job can be done any more. */
  failure?: DataError;
}

function createThreadPool(sources: readonly Source[], threads: number): SamplePool {
  const jobs: Jobs = { waiting: [], running: new Map(), load: new Map(), lastId: 0 };
  for (let i = 0; i < threads; i++) addWorker(jobs, startWorker(sources));
  let holders = 0;
  const hold = (held: boolean) => {
    holders += held ? 1 : -1;
    for (const worker of jobs.load.keys()) holders > 0 ? worker.ref() : worker.unref();
  };
  return {
    run(task) {
      if (jobs.failure) return Promise.reject(jobs.failure);
      return new Promise((resolve, reject) => {
        jobs.waiting.push({ task, resolve, reject });
        dispatch(jobs);
      });
    },
    hold,
    async close() {
      hold(true); // a process that waits for its threads to end must not end before them
      fail(jobs, 'the picture loader is closed');
      await Promise.all([...jobs.load.keys()].map((worker) => worker.terminate()));
    },
  };
}

function addWorker(jobs: Jobs, worker: Worker): void {
  jobs.load.set(worker, 0);
  worker.on('message', (reply: Reply) => {
    const job = jobs.running.get(reply.id);
    jobs.running.delete(reply.id);
    jobs.load.set(worker, jobs.load.get(worker)! - 1);
    dispatch(jobs);
    if ('sample' in reply) job?.resolve(reply.sample);
    else job?.reject(new UnreadablePicture(reply.unreadable));
  });
  worker.on('error', (error) => fail(jobs, `a picture thread has died: ${reason(error)}`));
  worker.on('exit', (code) => fail(jobs, `a picture thread has ended by itself (exit code ${code})`));
  worker.unref();
}

/** Gives waiting jobs to the threads that have least to do. */
function dispatch(jobs: Jobs): void {
  const { waiting, running, load } = jobs;
  while (waiting.length > 0) {
    const [worker, busy] = [...load].reduce((best, entry) => (entry[1] < best[1] ? entry : best));
    if (busy >= TASKS_PER_THREAD) return;
    const job = waiting.shift()!;
    const id = ++jobs.lastId;
    running.set(id, job);
    load.set(worker, busy + 1);
    worker.postMessage({ id, task: job.task } satisfies Request);
  }
}

/** Ends all jobs, these and future ones, with the first reason given. */
function fail(jobs: Jobs, why: string): void {
  jobs.failure ??= new DataError(why);
  for (const job of [...jobs.running.values(), ...jobs.waiting.splice(0)]) job.reject(jobs.failure);
  jobs.running.clear();
}

/** Threads run the .ts files as they stand: worker-start.js sets up tsx. */
function startWorker(sources: readonly Source[]): Worker {
  const file = new URL('worker-start.js', import.meta.url);
  return new Worker(file, { workerData: sources, execArgv: [] });
}
