import { addFlagsOf } from '../device/kernel.ts';
import { type Launch, memoryOf } from '../record/recorder.ts';
import { bytesOf, rootOf, type Tensor, viewOf } from '../record/tensor.ts';

// A launch costs some 30 µs whatever it does, and a tenth of those of a training step only add a gradient to
// another. Kernels that can add to what their result holds (`addFlagsOf`) do it instead.

/** Launches as far as they are rewritten, and which of them bind what. */
interface Fusing {
  /** Null where a launch was dropped. */
  readonly items: (Launch | null)[];
  /** Positions in `items` by memory: a buffer that lives on, or the root of an intermediate. Ascending. */
  readonly uses: Map<GPUBuffer | number, readonly number[]>;
  /** Roots that somebody reads after the program, or of which launches bind parts. */
  readonly fixed: ReadonlySet<number>;
}

function fusingOf(launches: readonly Launch[], keep: readonly Tensor[]): Fusing {
  const uses = new Map<GPUBuffer | number, number[]>();
  const fixed = new Set(keep.map((t) => rootOf(t).id));
  launches.forEach(({ bindings }, at) => {
    for (const t of bindings) if (bytesOf(t) !== bytesOf(rootOf(t))) fixed.add(rootOf(t).id);
    for (const memory of new Set(bindings.map(memoryOf))) {
      const known = uses.get(memory);
      if (known) known.push(at);
      else uses.set(memory, [at]);
    }
  });
  return { items: [...launches], uses, fixed };
}

const sameRoot = (a: Tensor, b: Tensor) => rootOf(a) === rootOf(b);

/** Whether two tensors have memory in common. */
function overlap(a: Tensor, b: Tensor): boolean {
  const [p, q] = [rootOf(a).storage, rootOf(b).storage];
  if (!p || !q) return sameRoot(a, b);
  // A binding is padded to a vec4.
  const end = ({ offset, bytes }: typeof p) => offset + Math.ceil(bytes / 16) * 16;
  return p.buffer === q.buffer && p.offset < end(q) && q.offset < end(p);
}

/** Positions, from `first` up to before `end`, of the launches that bind any of a tensor's memory. */
function usesOf({ items, uses }: Fusing, tensor: Tensor, first = 0, end = items.length): number[] {
  const positions = (uses.get(memoryOf(tensor)) ?? []).filter((at) => at >= first && at < end);
  return positions.filter((at) => items[at]?.bindings.some((t) => overlap(t, tensor)));
}

/** Whether a tensor is nothing but a buffer between launches of this program, which bind all of it. */
function isPassing({ fixed }: Fusing, tensor: Tensor): boolean {
  const { id, storage, texture } = rootOf(tensor);
  return !storage && !texture && !fixed.has(id);
}

/** The constant that makes a launch add to `x`, where it binds that once, and whether it is set. */
function flagOf({ kernel, bindings }: Launch, x: Tensor): { name: string; set: boolean } | null {
  const slots = bindings.flatMap((t, slot) => (sameRoot(t, x) ? [slot] : []));
  const name = kernel && slots.length === 1 ? addFlagsOf(kernel).get(slots[0]) : undefined;
  return name === undefined ? null : { name, set: kernel!.constants[name] === true };
}

/** WebGPU refuses a launch that reads one part of a buffer and writes another. */
function mayBind({ bindings, writes }: Launch, x: Tensor, to: Tensor): boolean {
  const inPlace = bindings.flatMap((t, i) => (sameRoot(t, x) ? [writes[i]] : []));
  const beside = bindings.flatMap((t, i) => (memoryOf(t) === memoryOf(to) ? [writes[i]] : []));
  return beside.every((write) => inPlace.every((other) => other === write));
}

/** Whether all launches at `positions`, and those between them and `end`, leave the memory of `to` alone. */
function canMove(fusing: Fusing, x: Tensor, positions: readonly number[], to: Tensor, end: number): boolean {
  if (usesOf(fusing, to, positions[0], end).length > 0) return false;
  return positions.every((at) => mayBind(fusing.items[at]!, x, to));
}

/** The launches that compute `x` for nobody but the one at `at`, if all of them can add to `to` instead. */
function writersOf(fusing: Fusing, x: Tensor, to: Tensor, at: number): readonly number[] | null {
  if (!isPassing(fusing, x) || sameRoot(x, to)) return null;
  const writers = usesOf(fusing, x).filter((position) => position !== at);
  if (writers.length === 0 || writers.some((position) => position > at)) return null;
  // The first begins the sum, others have been told to add to it.
  const able = writers.every((w, i) => flagOf(fusing.items[w]!, x)?.set === i > 0);
  return able && canMove(fusing, x, writers, to, at) ? writers : null;
}

/** Has every launch that binds `from` bind `to`. */
function rename({ items, uses }: Fusing, from: Tensor, to: Tensor): void {
  const moved = (t: Tensor) => {
    if (!sameRoot(t, from)) return t;
    return t.shape.join() === to.shape.join() ? to : viewOf(to, t.shape);
  };
  const [old, memory] = [memoryOf(from), memoryOf(to)];
  const positions = uses.get(old)!;
  for (const at of positions) {
    const item = items[at];
    if (item) items[at] = { ...item, bindings: item.bindings.map(moved) };
  }
  uses.delete(old);
  const all = new Set([...(uses.get(memory) ?? []), ...positions]);
  uses.set(
    memory,
    [...all].sort((a, b) => a - b),
  );
}

/** Has the launches that compute `x` add it to `to`, and drops the one that did. */
function addAtOnce(fusing: Fusing, x: Tensor, to: Tensor, writers: readonly number[], at: number): void {
  const { items } = fusing;
  const first = items[writers[0]]!;
  const kernel = first.kernel!;
  const constants = { ...kernel.constants, [flagOf(first, x)!.name]: true };
  items[writers[0]] = { ...first, kernel: { ...kernel, constants } };
  items[at] = null;
  rename(fusing, x, to);
}

/** y += x: what computes x adds to y, where y is idle meanwhile. */
function fuseInto(fusing: Fusing, at: number): void {
  const [x, y] = fusing.items[at]!.bindings;
  const writers = writersOf(fusing, x, y, at);
  if (writers) addAtOnce(fusing, x, y, writers, at);
}

/** Whether the launches that use `sum` before `at`, and those that will add to it, can use `y` instead. */
function canBecome(fusing: Fusing, sum: Tensor, writers: readonly number[], [x, y]: Tensor[], at: number) {
  // Nobody knows y before it is computed, and `sum` takes its place.
  if (!rootOf(y).storage) return isPassing(fusing, y) && usesOf(fusing, y)[0] === at;
  const before = usesOf(fusing, sum, 0, at);
  return canMove(fusing, sum, before, y, at) && writers.every((w) => mayBind(fusing.items[w]!, x, y));
}

/** y = sum + x: what computes x adds to `sum`, which is y from then on, where nobody needs it any more. */
function fuseMain(fusing: Fusing, at: number): void {
  const [a, b, y] = fusing.items[at]!.bindings;
  for (const [sum, x] of [
    [a, b],
    [b, a],
  ]) {
    const writers = writersOf(fusing, x, sum, at);
    if (!writers || !isPassing(fusing, sum)) continue;
    const uses = usesOf(fusing, sum);
    if (uses[0] >= writers[0] || uses[uses.length - 1] > at) continue;
    if (!canBecome(fusing, sum, writers, [x, y], at)) continue;
    addAtOnce(fusing, x, sum, writers, at);
    if (rootOf(y).storage) rename(fusing, sum, y);
    else rename(fusing, y, sum);
    return;
  }
}

/**
 * Drops launches that add a result to another where the kernel that computes the result can add it itself: no
 * launch, no intermediate, one pass over memory less. The same numbers are summed, in an order that depends
 * on nothing but the program.
 * @param keep tensors that are read after the program: they stay what they are
 */
export function fuseAdds(launches: readonly Launch[], keep: readonly Tensor[]): Launch[] {
  const fusing = fusingOf(launches, keep);
  launches.forEach(({ kernel }, at) => {
    if (kernel?.name === 'add/into') fuseInto(fusing, at);
    if (kernel?.name === 'add/main') fuseMain(fusing, at);
  });
  return fusing.items.filter((item) => item !== null);
}
