import { checkDevice, type Device, finish, withinMemory } from '../device/device.ts';
import { AdawnError } from '../errors.ts';
import { applyPasses } from '../plan/passes.ts';
import { type MemoryPlan, planMemory } from '../plan/plan.ts';
import { type Launch, withRecorder } from '../record/recorder.ts';
import { expectAlive, rootOf, type Tensor } from '../record/tensor.ts';
import { bindAll, bindOutputs, type Memory } from './bind.ts';
import { compileAll } from './compile.ts';
import { dumpOf } from './dump.ts';
import { encode, type Step } from './encode.ts';

/** A recorded piece of work with fixed shapes: run it as often as you like, then dispose of it. */
export interface Program<Out extends Record<string, Tensor>> {
  readonly device: Device;
  readonly steps: readonly Step[];
  readonly plan: MemoryPlan;
  /** Named results, readable after a run with `read(device, program.outputs.name)`. */
  readonly outputs: Out;
  /** What the intermediates live in, slot by slot of the plan. */
  readonly memory: Memory;
  /** Uniform blocks of the launches. */
  readonly sizeBuffer: GPUBuffer | null;
  /** Memory outside of the program that its launches bind: it must be there at every run. */
  readonly uses: readonly Tensor[];
  /** Set by `dispose`. */
  disposed: boolean;
}

/**
 * Launches per submit: long enough to amortise it, short enough for a GPU's watchdog. A processor has none,
 * and while its threads compute, encoding takes half as long again.
 */
const LAUNCHES_PER_SUBMIT = 400;
const LAUNCHES_PER_SUBMIT_ON_CPU = 4000;

function allocateSlots(device: Device, plan: MemoryPlan): Memory {
  const memory: (GPUBuffer | GPUTexture)[] = [];
  try {
    for (const slot of plan.slots) {
      memory.push(
        slot.kind === 'texture'
          ? device.pool.acquireTexture(slot.extent, 'intermediate')
          : device.pool.acquire(slot.bytes, 'intermediates'),
      );
    }
  } catch (error) {
    freeSlots(device, memory);
    throw error;
  }
  return memory;
}

function freeSlots(device: Device, memory: Memory): void {
  for (const slot of memory) device.pool.release(slot);
}

/** What `record` found out before anything was allocated: for `--plan` and for tests. */
export interface Recording<Out extends Record<string, Tensor>> {
  readonly launches: readonly Launch[];
  readonly plan: MemoryPlan;
  readonly outputs: Out;
}

/** Records `build` without allocating or compiling: launches, memory plan, outputs. */
export function trace<Out extends Record<string, Tensor>>(device: Device, build: () => Out): Recording<Out> {
  const { recorded, result } = withRecorder(device, build);
  const keep = Object.values(result);
  const dumped = dumpOf(device);
  const launches = applyPasses(recorded.launches, keep, dumped.stage);
  const plan = planMemory(launches, keep, device.gpu.limits.maxBufferSize);
  dumped.plan(launches, plan);
  return { launches, plan, outputs: result };
}

/**
 * Records `build` once; the program replays it. Pipelines compile in parallel, memory is planned over
 * lifetimes, bind groups are made here and never again.
 * @throws DeviceError when the GPU cannot hold it, KernelError when a kernel does not compile.
 */
export async function record<Out extends Record<string, Tensor>>(
  device: Device,
  build: () => Out,
  onCompile?: (done: number, total: number) => void,
): Promise<Program<Out>> {
  const { launches, plan, outputs } = trace(device, build);
  // Memory first: compiling can take minutes, and whoever runs out of memory wants to know at once.
  const memory = await withinMemory(
    device,
    () => allocateSlots(device, plan),
    (slots) => freeSlots(device, slots),
  );
  try {
    const pipelines = await compileAll(device, launches, onCompile);
    const { steps, sizeBuffer } = await bindAll(device, launches, plan, memory, pipelines);
    const bound = bindOutputs(device, outputs, plan, memory);
    const uses = usesOf(launches);
    return { device, steps, plan, outputs: bound, memory, sizeBuffer, uses, disposed: false };
  } catch (error) {
    freeSlots(device, memory);
    throw error;
  }
}

/** One tensor for each buffer that outlives the program. */
function usesOf(launches: readonly Launch[]): Tensor[] {
  const uses = new Map<GPUBuffer, Tensor>();
  for (const tensor of launches.flatMap(({ bindings }) => bindings)) {
    const root = rootOf(tensor);
    if (root.storage) uses.set(root.storage.buffer, root);
  }
  return [...uses.values()];
}

/** @throws AdawnError when the program is gone, or memory that it uses. */
function expectUsable({ device, uses, disposed }: Program<Record<string, Tensor>>, what: string): void {
  if (disposed) throw new AdawnError(`${what}: the program was disposed of before`);
  for (const { storage, label } of uses) {
    expectAlive(device, storage!, `${what}: ${label || 'a tensor'}, which the program uses,`);
  }
}

/**
 * Encodes and submits the program once; returns at once. Order on the queue is order of calls.
 * @throws AdawnError after `dispose`, or when a tensor that the program uses was released
 */
export function run(program: Program<Record<string, Tensor>>): void {
  const { device, steps } = program;
  checkDevice(device);
  expectUsable(program, 'run');
  const most = device.isCpu ? LAUNCHES_PER_SUBMIT_ON_CPU : LAUNCHES_PER_SUBMIT;
  for (let from = 0; from < steps.length; from += most) {
    submit(device, steps.slice(from, from + most));
  }
}

function submit(device: Device, steps: readonly Step[]): void {
  const encoder = device.gpu.createCommandEncoder();
  encode(encoder, steps);
  device.gpu.queue.submit([encoder.finish()]);
}

/** Milliseconds that a portion of a program is to take, about, and kernels in it that never ran before. */
const PORTION_MS = 300;
const PORTION_KERNELS = 2;

/** Where the portion ends that begins at `from`: after some new kernels, or `most` launches. */
function endOfPortion(steps: readonly Step[], from: number, most: number, known: Set<GPUComputePipeline>) {
  let fresh = 0;
  let end = from;
  for (; end < steps.length && end < from + most; end++) {
    const pipeline = steps[end].dispatch?.pipeline;
    if (!pipeline || known.has(pipeline)) continue;
    if (fresh++ === PORTION_KERNELS) break;
    known.add(pipeline);
  }
  return end;
}

/**
 * Runs the program once in portions, and waits for each. For the first run: some drivers (Mesa's lavapipe)
 * compile a kernel when it first runs, so that it can take minutes, and what is submitted cannot be stopped.
 * @param between called before each portion; when it throws, the rest does not run
 */
export async function runInPortions(
  program: Program<Record<string, Tensor>>,
  between: (done: number, total: number) => void,
): Promise<void> {
  const { device, steps } = program;
  expectUsable(program, 'run');
  const known = new Set<GPUComputePipeline>();
  let most = 1;
  for (let done = 0; done < steps.length; ) {
    between(done, steps.length);
    const start = performance.now();
    const end = endOfPortion(steps, done, most, known);
    submit(device, steps.slice(done, end));
    await finish(device);
    done = end;
    const ms = performance.now() - start;
    if (ms > PORTION_MS) most = Math.max(1, Math.floor(most / 2));
    else if (ms < PORTION_MS / 4) most = Math.min(2 * most, LAUNCHES_PER_SUBMIT);
  }
}

/** Returns the program's memory to the pool; its outputs are gone. @throws AdawnError the second time. */
export function dispose(program: Program<Record<string, Tensor>>): void {
  if (program.disposed) throw new AdawnError('dispose: the program was disposed of before');
  program.disposed = true;
  freeSlots(program.device, program.memory);
  if (program.sizeBuffer) program.device.pool.release(program.sizeBuffer);
}
