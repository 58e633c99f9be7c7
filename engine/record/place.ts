import { AdawnError } from '../errors.ts';
import { type Launch, memoryOf, nameOf, recorder } from './recorder.ts';
import { bytesOf, offsetInRoot, rootOf, type Storage, storageOf, type Tensor } from './tensor.ts';
import { noteWrite, writtenAt } from './writes.ts';

/** Whether a launch uses any of a stretch of memory. */
function uses({ bindings }: Launch, { buffer, offset, bytes }: Storage): boolean {
  return bindings.some((tensor) => {
    const found = storageOf(tensor);
    if (found?.buffer !== buffer) return false;
    return found.offset < offset + bytes && offset < found.offset + found.bytes;
  });
}

/**
 * Whether a launch could bind `root` in that buffer: WebGPU lets it read the buffer or write it, not both.
 */
function couldBind({ bindings, writes }: Launch, root: Tensor, buffer: GPUBuffer): boolean {
  const ours = writes.filter((_, i) => rootOf(bindings[i]) === root);
  const beside = writes.filter((_, i) => memoryOf(bindings[i]) === buffer);
  return ours.every((write) => beside.every((other) => other === write));
}

/** Why `place` would refuse a result; null where it takes it. */
export function placeProblem(result: Tensor, at: Tensor): string | null {
  const { launches, writes } = recorder();
  const [root, { storage }] = [rootOf(result), at];
  if (!storage) return `${nameOf(at)} is an intermediate itself`;
  if (root.storage) return 'the result lives in memory of its own already';
  if (root.texture) return 'the result lives in a texture';
  if (offsetInRoot(result) > 0 || bytesOf(result) !== bytesOf(root)) return 'the result is part of another';
  if (bytesOf(root) !== storage.bytes) return `${bytesOf(root)} bytes are no ${storage.bytes}`;
  const written = writtenAt(writes, root);
  if (!written) return 'no launch computes the result';
  const since = launches.slice(written.first - 1);
  const user = since.find((item) => uses(item, storage));
  if (user) return `${user.label} uses that memory after the result was begun`;
  const torn = since.find((item) => !couldBind(item, root, storage.buffer));
  return torn ? `${torn.label} would read and write one buffer` : null;
}

/**
 * Lets an intermediate result live in memory that stays, instead of a buffer of the plan, without a copy: as
 * if the launches that compute it had written there from the first.
 * @throws AdawnError when the result has memory already or has another size, or when a launch recorded since
 *   it was begun uses the memory at `at` and would find another value there than when it was recorded:
 *   `copyInto` does not mind
 */
export function place(result: Tensor, at: Tensor): void {
  const problem = placeProblem(result, at);
  if (problem) {
    throw new AdawnError(
      `place: ${nameOf(result)} cannot be placed at ${nameOf(at)}: ${problem}; copyInto copies it there`,
    );
  }
  const { writes } = recorder();
  const root = rootOf(result);
  const { latest } = writtenAt(writes, root)!;
  root.storage = at.storage;
  noteWrite(writes, at, latest);
}
