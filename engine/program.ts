import { compileAll } from './compile.ts';
import { checkDevice, type Device, finish, type Pipeline, scoped, withinMemory } from './device.ts';
import { encode, type Step, type TextureCopy } from './encode.ts';
import { AdawnError, DeviceError } from './errors.ts';
import { fuseAdds } from './fuseAdds.ts';
import { kernelKey } from './kernel.ts';
import { type MemoryPlan, planMemory, pruneLaunches, type Room } from './plan.ts';
import { type Launch, withRecorder } from './recorder.ts';
import { show } from './shape.ts';
import { encodeSizes } from './shared.ts';
import { bytesOf, offsetInRoot, rootOf, type Storage, storageOf, type Tensor } from './tensor.ts';

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
}

/**
 * Launches per submit: long enough to amortise it, short enough for a GPU's watchdog. A processor has none,
 * and while its threads compute, encoding takes half as long again.
 */
const LAUNCHES_PER_SUBMIT = 400;
const LAUNCHES_PER_SUBMIT_ON_CPU = 4000;

type Memory = readonly (GPUBuffer | GPUTexture)[];

function roomOf(tensor: Tensor, plan: MemoryPlan): Room {
  const room = plan.rooms.get(tensor.id);
  if (!room) throw new AdawnError(`no launch computes ${tensor.label || show(tensor.shape)}`);
  return room;
}

/** The texture an intermediate lives in, and the first of its layers there. */
function layersOf(tensor: Tensor, plan: MemoryPlan, memory: Memory): { texture: GPUTexture; layer: number } {
  const { slot, offset } = roomOf(tensor, plan);
  return { texture: memory[slot] as GPUTexture, layer: offset };
}

function placeOf(tensor: Tensor, plan: MemoryPlan, memory: Memory): Storage {
  const stored = storageOf(tensor);
  if (stored) return stored;
  const root = rootOf(tensor);
  if (root.texture)
    throw new AdawnError(`${root.label || show(root.shape)} is a texture, which cannot be kept`);
  const { slot, offset } = roomOf(root, plan);
  return { buffer: memory[slot] as GPUBuffer, offset: offset + offsetInRoot(tensor), bytes: bytesOf(tensor) };
}

/** Where a launch's uniform block lies; null where its numbers are in the kernel's text. */
type Sizes = GPUBufferBinding | null;

/** One uniform buffer for the blocks of all launches, equal ones shared; null where no launch has one. */
function writeSizes(
  device: Device,
  launches: readonly Launch[],
  pipelines: ReadonlyMap<string, Pipeline>,
): { buffer: GPUBuffer | null; sizes: Sizes[] } {
  const stride = device.gpu.limits.minUniformBufferOffsetAlignment;
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  const known = new Map<string, number>();
  const places = launches.map(({ kernel }) => {
    if (!kernel) return null;
    const { fields } = pipelines.get(kernelKey(kernel))!;
    if (fields.length === 0) return null;
    const block = encodeSizes(fields, kernel.constants);
    const key = block.join(',');
    if (!known.has(key)) known.set(key, blocks.push(block) - 1);
    return { at: known.get(key)!, size: block.length };
  });
  if (blocks.length === 0) return { buffer: null, sizes: places.map(() => null) };
  const each = Math.ceil(Math.max(...blocks.map((b) => b.length)) / stride) * stride;
  const all = new Uint8Array(each * blocks.length);
  blocks.forEach((block, i) => {
    all.set(block, i * each);
  });
  const buffer = device.pool.acquireUniform(all.length, 'launch sizes');
  device.gpu.queue.writeBuffer(buffer, 0, all);
  return { buffer, sizes: places.map((p) => p && { buffer, offset: p.at * each, size: p.size }) };
}

function bind(
  device: Device,
  item: Launch,
  layout: GPUBindGroupLayout,
  plan: MemoryPlan,
  memory: Memory,
  sizes: Sizes,
) {
  const block = sizes ? [{ binding: item.bindings.length, resource: sizes }] : [];
  return device.gpu.createBindGroup({
    label: item.label,
    layout,
    entries: item.bindings
      .map((tensor, binding): GPUBindGroupEntry => {
        if (tensor.texture) {
          const { texture, layer } = layersOf(tensor, plan, memory);
          const range = { baseArrayLayer: layer, arrayLayerCount: tensor.texture.layers };
          return { binding, resource: texture.createView({ dimension: '2d-array', ...range }) };
        }
        const { buffer, offset, bytes } = placeOf(tensor, plan, memory);
        return { binding, resource: { buffer, offset, size: Math.ceil(bytes / 16) * 16 } };
      })
      .concat(block),
  });
}

function copiesOf({ copies, bindings }: Launch, plan: MemoryPlan, memory: Memory): TextureCopy[] {
  return copies.map(({ first, rowStep, layerRows, at: [x, y, z], size }) => {
    const { buffer, offset } = placeOf(bindings[0], plan, memory);
    const { texture, layer } = layersOf(bindings[1], plan, memory);
    return {
      source: { buffer, offset: offset + first * 16, bytesPerRow: rowStep * 16, rowsPerImage: layerRows },
      destination: { texture, origin: { x, y, z: layer + z } },
      size: [size.width, size.height, size.layers],
    };
  });
}

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
  const launches = fuseAdds(pruneLaunches(recorded.launches, keep), keep);
  const { maxBufferSize } = device.gpu.limits;
  return { launches, plan: planMemory(launches, keep, maxBufferSize), outputs: result };
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
    const bound = bindOutputs(outputs, plan, memory);
    return { device, steps, plan, outputs: bound, memory, sizeBuffer };
  } catch (error) {
    freeSlots(device, memory);
    throw error;
  }
}

/** What a replay needs of every launch. */
async function bindAll(
  device: Device,
  launches: readonly Launch[],
  plan: MemoryPlan,
  memory: Memory,
  pipelines: ReadonlyMap<string, Pipeline>,
): Promise<{ steps: Step[]; sizeBuffer: GPUBuffer | null }> {
  const { result, error } = await scoped(device, 'validation', () => {
    const { buffer: sizeBuffer, sizes } = writeSizes(device, launches, pipelines);
    const steps = launches.map((item, i) => {
      const copies = copiesOf(item, plan, memory);
      if (!item.kernel) return { launch: item, dispatch: null, copies };
      const { pipeline, layout } = pipelines.get(kernelKey(item.kernel))!;
      const bindGroup = bind(device, item, layout, plan, memory, sizes[i]);
      return { launch: item, dispatch: { pipeline, bindGroup }, copies };
    });
    return { steps, sizeBuffer };
  });
  if (error) throw new DeviceError(`recording failed: ${error.message}`);
  return result;
}

/** The results with the memory a run leaves them in. */
function bindOutputs<Out extends Record<string, Tensor>>(outputs: Out, plan: MemoryPlan, memory: Memory) {
  const made = new Map<number, Tensor>();
  for (const tensor of Object.values(outputs)) {
    made.set(tensor.id, { ...tensor, storage: placeOf(tensor, plan, memory) });
  }
  return Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, made.get(t.id)!])) as Out;
}

/** Encodes and submits the program once; returns at once. Order on the queue is order of calls. */
export function run(program: Program<Record<string, Tensor>>): void {
  const { device, steps } = program;
  checkDevice(device);
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

/** A portion of a program that runs in portions is to take about this many milliseconds. */
const PORTION_MS = 300;

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
  let size = 1;
  for (let done = 0; done < steps.length; ) {
    between(done, steps.length);
    const start = performance.now();
    submit(device, steps.slice(done, done + size));
    await finish(device);
    done += size;
    const ms = performance.now() - start;
    size = ms > PORTION_MS ? Math.max(1, Math.floor(size / 2)) : ms < PORTION_MS / 4 ? 2 * size : size;
  }
}

/** Returns the program's memory to the pool; its outputs are gone. */
export function dispose(program: Program<Record<string, Tensor>>): void {
  freeSlots(program.device, program.memory);
  if (program.sizeBuffer) program.device.pool.release(program.sizeBuffer);
}

/** The program as a table: one line a launch (label, kernel, shapes, grid). */
export function printProgram(program: Program<Record<string, Tensor>>): string {
  return program.steps
    .map(({ launch: item }, i) => {
      const shapes = item.bindings.map((t, b) => `${item.writes[b] ? '→' : ''}${show(t.shape)}`);
      const kernel = item.kernel ? `${item.kernel.name}:${item.kernel.entry}` : 'copy';
      return `${String(i).padStart(4)} ${item.label.padEnd(28)} ${kernel.padEnd(28)} ${shapes.join(' ')}`;
    })
    .join('\n');
}
