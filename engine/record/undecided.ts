import { recorder, variantOf } from './recorder.ts';

/**
 * Ways for a GPU between which nobody has measured; the first of each is taken. Where a card decides
 * otherwise, change the order here. `npm run bench -- step --force memo=kept` times another one.
 */
export const UNDECIDED = {
  // Which invocations of a subgroup share rows and columns of a tile: lane_of in kernels/lib/tile.wgsl.
  tileLanes: ['blocks', 'pairs'],
  // k of a tile of 128 x 128: 8 or 16. The same sums in half as many rounds, of twice the workgroup memory.
  tileDepth: ['shallow', 'deep'],
  // Whether what was computed of a large weight is computed again when its last use is long ago.
  memo: ['again', 'kept'],
} as const;

type Undecided = typeof UNDECIDED;

/** Whether this way is the one to take: never on a processor. */
export function takes<N extends keyof Undecided>(name: N, way: Undecided[N][1]): boolean {
  return !recorder().device.isCpu && variantOf(name, UNDECIDED[name][0]) === way;
}
