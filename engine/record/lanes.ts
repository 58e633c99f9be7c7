import { recorder } from './recorder.ts';

/**
 * Invocations of a workgroup: on a processor one of its vectors, where barriers cost least and as many
 * workgroups as there can be share its cores.
 * @param onGpu how many on a GPU
 */
export function lanes(onGpu = 64): number {
  return recorder().device.isCpu ? 8 : onGpu;
}

/** How kernels with `needs: LANES=vector` take C channels: by four where they can be. */
export function vectors(C: number): { readonly C: number; readonly LANES: 'vector' | 'scalar' } {
  return C % 4 === 0 ? { C: C / 4, LANES: 'vector' } : { C, LANES: 'scalar' };
}
