/** Whether an error is only the news that a run was asked to stop. */
export const isStop = (error: unknown, stop: AbortSignal) => stop.aborted && error === stop.reason;

/**
 * Waits for `work`, but no longer than until the run is asked to stop: then throws the signal's reason, and
 * whatever `work` still does is of no interest to anyone.
 */
export async function orStop<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  stop.throwIfAborted();
  let end = () => {};
  const stopped = new Promise<never>((_, reject) => {
    end = () => reject(stop.reason);
    stop.addEventListener('abort', end);
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    stop.removeEventListener('abort', end);
  }
}
