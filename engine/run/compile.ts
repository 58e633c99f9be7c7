import type { Device, Pipeline } from '../device/device.ts';
import { kernelKey } from '../device/kernel.ts';
import { pipelineFor } from '../device/pipelines.ts';
import { untilDone } from '../device/waiting.ts';
import type { Launch } from '../record/recorder.ts';

/**
 * Kernels that compile at once. Each keeps a thread of Dawn's busy, and a failure (or whoever stops the work
 * by throwing in `onCompile`) waits for those under way, since Dawn crashes when a process ends in their
 * midst.
 */
const COMPILE_AT_ONCE = 32;

/**
 * The pipelines of the kernels that these launches use, by `kernelKey`.
 * @param onCompile told after each; when it throws, no more are begun
 * @throws KernelError for the first kernel that does not compile
 */
export async function compileAll(
  device: Device,
  launches: readonly Launch[],
  onCompile?: (done: number, total: number) => void,
): Promise<Map<string, Pipeline>> {
  const kernels = launches.flatMap(({ kernel }) => (kernel ? [kernel] : []));
  const specs = [...new Map(kernels.map((kernel) => [kernelKey(kernel), kernel]))];
  const compiled = new Map<string, Pipeline>();
  let next = 0;
  const compileSome = async () => {
    try {
      while (next < specs.length) {
        const [key, spec] = specs[next++];
        compiled.set(key, await pipelineFor(device, spec));
        onCompile?.(compiled.size, specs.length);
      }
    } catch (error) {
      next = specs.length;
      throw error;
    }
  };
  const all = Array.from({ length: COMPILE_AT_ONCE }, compileSome);
  for (const end of await untilDone(device, Promise.allSettled(all))) {
    if (end.status === 'rejected') throw end.reason;
  }
  return compiled;
}
