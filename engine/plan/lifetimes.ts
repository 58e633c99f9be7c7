import type { Extent } from '../device/pool.ts';
import type { Launch } from '../record/recorder.ts';
import { bytesOf, rootOf, type Tensor } from '../record/tensor.ts';

/** Something that takes memory from one launch to another. */
export interface Lifetime {
  readonly bytes: number;
  /** First and last launch that touch it. */
  readonly first: number;
  readonly last: number;
}

const length = ({ first, last }: Lifetime) => last - first + 1;

/** Orders in which to find room for many: no one is best for every program, and all are quick to try. */
export const ORDERS: readonly ((a: Lifetime, b: Lifetime) => number)[] = [
  (a, b) => b.bytes - a.bytes || a.first - b.first,
  (a, b) => b.bytes - a.bytes || length(b) - length(a),
  (a, b) => b.bytes * length(b) - a.bytes * length(a) || a.first - b.first,
];

/** An intermediate tensor, as a box of vec4f, with the launches that touch it. */
export interface Interval extends Lifetime {
  readonly tensor: Tensor;
  readonly extent: Extent;
  last: number;
}

/** The lifetimes of all intermediates. What is kept lives to the end. */
export function intervalsOf(launches: readonly Launch[], keep: readonly Tensor[]): Interval[] {
  const byId = new Map<number, Interval>();
  launches.forEach((item, at) => {
    for (const binding of item.bindings) {
      const tensor = rootOf(binding);
      if (tensor.storage) continue;
      const known = byId.get(tensor.id);
      if (known) known.last = at;
      else byId.set(tensor.id, { tensor, ...spaceOf(tensor), first: at, last: at });
    }
  });
  for (const tensor of keep) {
    const known = byId.get(rootOf(tensor).id);
    if (known) known.last = launches.length;
  }
  return [...byId.values()];
}

/** The vec4f that an intermediate takes. */
function spaceOf(tensor: Tensor): { extent: Extent; bytes: number } {
  const inBuffer = { width: Math.ceil(Math.max(bytesOf(tensor), 16) / 16), height: 1, layers: 1 };
  const extent = tensor.texture ?? inBuffer;
  return { extent, bytes: extentBytes(extent) };
}

/** Bytes of a box of vec4f. */
export function extentBytes({ width, height, layers }: Extent): number {
  return width * height * layers * 16;
}

/** Bytes of the intermediates alive at the launch where they are most: no plan can do with less. */
export function largestLive(intervals: readonly Lifetime[], steps: number): number {
  const change = new Float64Array(steps + 2);
  for (const { first, last, bytes } of intervals) {
    change[first] += bytes;
    change[last + 1] -= bytes;
  }
  let live = 0;
  let most = 0;
  for (const delta of change) most = Math.max(most, (live += delta));
  return most;
}
