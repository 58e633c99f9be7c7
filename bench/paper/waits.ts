import {
  bytesOf,
  type Launch,
  type MemoryPlan,
  offsetInRoot,
  rootOf,
  storageOf,
  type Tensor,
} from '../../engine/index.ts';

/** Which launches wait until those before have ended. */
export interface Waits {
  /** Because Dawn puts a barrier there. */
  readonly placed: readonly boolean[];
  /** Because they touch what one since the last such wait has written, or write what it reads. */
  readonly needed: readonly boolean[];
}

/** The buffer a tensor lives in: its own where it lives on, else the plan's. */
const bufferOf = (tensor: Tensor, plan: MemoryPlan) =>
  storageOf(tensor)?.buffer ?? plan.rooms.get(rootOf(tensor).id)!.slot;

type Buffer = GPUBuffer | number;

interface Usage {
  written: boolean;
  read: boolean;
}

/**
 * Dawn's rule for a buffer (Buffer::TrackUsageAndGetResourceBarrier of its Vulkan backend): what reads waits
 * for the last write once, whoever reads after it does not; what writes waits for all that came before. It
 * knows whole buffers only.
 */
function waitsFor(usages: Map<Buffer, Usage>, buffer: Buffer, write: boolean): boolean {
  const usage = usages.get(buffer) ?? { written: false, read: false };
  usages.set(buffer, usage);
  const { written, read } = usage;
  usage.read = !write;
  usage.written ||= write;
  return write ? written || read : written && !read;
}

/** Barriers of the second of two iterations: the first finds buffers nobody has used. */
function placedBarriers(
  launches: readonly Launch[],
  plan: MemoryPlan,
  uploaded: readonly Tensor[],
): boolean[] {
  const usages = new Map<Buffer, Usage>();
  const iteration = () => {
    for (const tensor of uploaded) waitsFor(usages, bufferOf(tensor, plan), true);
    return launches.map(({ bindings, writes }) => {
      const used = new Map<Buffer, boolean>();
      bindings.forEach((tensor, i) => {
        const buffer = bufferOf(tensor, plan);
        used.set(buffer, writes[i] || (used.get(buffer) ?? false));
      });
      // Not `some`: every buffer's state changes.
      return [...used].filter(([buffer, write]) => waitsFor(usages, buffer, write)).length > 0;
    });
  };
  iteration();
  return iteration();
}

/** A range of memory that a launch reads or writes. */
interface Touch {
  readonly first: number;
  readonly end: number;
  readonly write: boolean;
}

/** Memory that tensors of their own share with none: the buffer of one that lives on, else the root. */
function touchOf(tensor: Tensor, write: boolean): [Buffer, Touch] {
  const storage = storageOf(tensor);
  const first = storage?.offset ?? offsetInRoot(tensor);
  return [storage?.buffer ?? rootOf(tensor).id, { first, end: first + bytesOf(tensor), write }];
}

function neededWaits(launches: readonly Launch[]): boolean[] {
  let since = new Map<Buffer, Touch[]>();
  return launches.map(({ bindings, writes }, at) => {
    const own = bindings.map((tensor, i) => touchOf(tensor, writes[i]));
    const meets = own.some(([memory, { first, end, write }]) =>
      since.get(memory)?.some((t) => (write || t.write) && t.first < end && first < t.end),
    );
    if (meets) since = new Map();
    for (const [memory, touch] of own) since.set(memory, [...(since.get(memory) ?? []), touch]);
    return meets || at === 0; // for the iteration before
  });
}

/**
 * Waits of an iteration that follows another one.
 * @param uploaded tensors the host writes between the two
 */
export function waitsOf(launches: readonly Launch[], plan: MemoryPlan, uploaded: readonly Tensor[]): Waits {
  return { placed: placedBarriers(launches, plan, uploaded), needed: neededWaits(launches) };
}
