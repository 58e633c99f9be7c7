/**
 * Milliseconds between two looks at a promise: on a processor that plays a GPU, and on a GPU, which is quick.
 */
const NAP_ON_CPU = 2;
const NAP = 0.2;

/** Milliseconds between two looks where nobody knows how long it will take. */
export const usualNap = ({ isCpu }: { readonly isCpu: boolean }) => (isCpu ? NAP_ON_CPU : NAP);

/** Never notified; `null` where the thread may not be blocked: in browsers, which have no `setImmediate`. */
const never = typeof setImmediate === 'function' ? new Int32Array(new SharedArrayBuffer(4)) : null;

/**
 * Waits for a promise of Dawn's. While one is pending, its Node binding looks for news in every turn of the
 * event loop, without pause, and so takes a core from lavapipe (measured on two: 185 to 223 ms for what takes
 * 102). So the thread sleeps between the turns; what else is waiting in the event loop has its turn as well.
 * @param nap milliseconds between two looks
 */
export async function untilDone<T>(
  device: { readonly isCpu: boolean },
  promise: Promise<T>,
  nap = usualNap(device),
): Promise<T> {
  if (!never) return promise;
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  while (!settled) {
    await new Promise((turn) => setImmediate(turn));
    if (!settled) Atomics.wait(never, 0, 0, nap);
  }
  return promise;
}
