import {
  allocate,
  type Device,
  dispose,
  type Launch,
  memory,
  type Program,
  read,
  record,
  recorder,
  release,
  rootOf,
  run,
  type Tensor,
  upload,
  vjp,
} from '../engine/index.ts';
import { type HostArrays, values } from '../test/cases/types.ts';
import type { Check, Prepared } from './types.ts';

/**
 * What of an op is timed: the forward pass; what follows it; what the gradients need, of the forward pass
 * too; or both passes.
 */
export type Timed = 'forward' | 'backward' | 'gradients' | 'training';

/** An op on given inputs, to be recorded. */
export interface OpWork {
  readonly inputs: HostArrays;
  readonly run: (t: Record<string, Tensor>) => Tensor[];
  /** Inputs to differentiate; none: the forward pass alone. */
  readonly grads: readonly string[];
  readonly timed: Timed;
}

/** Results of an op on the host. */
export interface Values {
  readonly outputs: Float32Array[];
  readonly grads: Float32Array[];
  /** The cotangents the gradients are for. */
  readonly seeds: Float64Array[];
}

/** Seeds of the cotangents, as in the tests. */
const COTANGENT = 900;

/** Tensors the backward pass finds in memory: kept, so that it can be run again alone. */
function handedOver(launches: readonly Launch[], first: number): Record<string, Tensor> {
  const written = new Set<number>();
  const kept: Record<string, Tensor> = {};
  launches.forEach(({ bindings, writes }, at) => {
    bindings.forEach((binding, i) => {
      const root = rootOf(binding);
      if (root.storage || root.texture) return;
      if (at < first && writes[i]) written.add(root.id);
      if (at >= first && !writes[i] && written.has(root.id)) kept[`kept${root.id}`] = root;
    });
  });
  return kept;
}

interface Recorded {
  readonly program: Program<Record<string, Tensor>>;
  readonly forward: ReadonlySet<Launch>;
  readonly seeds: Tensor[];
}

async function recordWork(device: Device, work: OpWork, t: Record<string, Tensor>): Promise<Recorded> {
  let forward = new Set<Launch>();
  let seeds: Tensor[] = [];
  const program = await record(device, () => {
    const ys = work.run(t);
    const named = Object.fromEntries(ys.map((y, i) => [`y${i}`, y]));
    const { launches } = recorder();
    forward = new Set(launches);
    if (work.grads.length === 0) return named;
    if (seeds.length === 0) seeds = ys.map(({ shape }, i) => allocate(device, shape, `dy${i}`));
    const targets = work.grads.map((name) => t[name]);
    const grads = Object.fromEntries(vjp(ys, seeds, targets).map((g, i) => [`g${i}`, g]));
    if (work.timed === 'backward') return { ...grads, ...handedOver(launches, forward.size) };
    return work.timed === 'training' ? { ...named, ...grads } : grads;
  });
  return { program, forward, seeds };
}

/** Records an op; `check` sees its results once, from the first run. */
export async function prepareOp(
  device: Device,
  work: OpWork,
  check: (v: Values) => Check,
): Promise<Prepared> {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { data, shape }] of Object.entries(work.inputs)) {
    inputs[name] = allocate(device, shape, name);
    upload(device, inputs[name], Float32Array.from(data));
  }
  const { program, forward, seeds } = await recordWork(device, work, inputs);
  const cotangents = seeds.map(({ shape }, i) => values(shape, COTANGENT + i).data);
  seeds.forEach((seed, i) => {
    upload(device, seed, Float32Array.from(cotangents[i]));
  });
  const only = work.timed === 'backward';
  const get = async (prefix: string) => {
    const list: Float32Array[] = [];
    for (let i = 0; `${prefix}${i}` in program.outputs; i++) {
      list.push(await read(device, program.outputs[`${prefix}${i}`]));
    }
    return list;
  };
  return {
    steps: only ? program.steps.filter(({ launch }) => !forward.has(launch)) : program.steps,
    async check() {
      run(program);
      return check({ outputs: await get('y'), grads: await get('g'), seeds: cotangents });
    },
    dispose() {
      dispose(program);
      for (const tensor of [...Object.values(inputs), ...seeds]) release(device, tensor);
      // Big cases follow each other: what one held must not stand in the way of the next.
      if (memory(device).pooled > 2 ** 29) device.pool.trim();
    },
  };
}

/** ‖out − ref‖ / ‖ref‖; the norm of the difference where the reference is 0. */
export function relativeError(out: ArrayLike<number>, ref: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < ref.length; i++) {
    difference += (out[i] - ref[i]) ** 2;
    norm += ref[i] ** 2;
  }
  return Math.sqrt(difference / (norm || 1));
}
