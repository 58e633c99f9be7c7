/** The thread side of pool.ts: makes one sample per message. */
import { parentPort, workerData } from 'node:worker_threads';
import { DataError, reason } from './errors.ts';
import type { Reply, Request } from './pool.ts';
import { makeSample } from './sample.ts';
import type { Source } from './source.ts';

const port = parentPort!;
const sources = workerData as Source[];

port.on('message', async ({ id, task }: Request) => {
  let reply: Reply;
  try {
    reply = { id, sample: await makeSample(sources, task) };
  } catch (error) {
    // A picture that cannot be read is a reply; anything else is a bug and ends the thread through 'error'.
    if (!(error instanceof DataError)) throw error;
    reply = { id, unreadable: reason(error) };
  }
  port.postMessage(reply, 'sample' in reply ? [reply.sample.values.buffer] : []);
});
