import { type Device, type Pipeline, scoped } from '../device/device.ts';
import { kernelKey } from '../device/kernel.ts';
import { encodeSizes } from '../device/launchSizes.ts';
import { AdawnError, DeviceError } from '../errors.ts';
import type { MemoryPlan, Room } from '../plan/plan.ts';
import type { Launch } from '../record/recorder.ts';
import { show } from '../record/shape.ts';
import { bytesOf, offsetInRoot, rootOf, type Storage, storageOf, type Tensor } from '../record/tensor.ts';
import type { Step, TextureCopy } from './encode.ts';

/** What the intermediates of a program live in, slot by slot of its plan. */
export type Memory = readonly (GPUBuffer | GPUTexture)[];

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

function placeOf(tensor: Tensor, plan: MemoryPlan, memory: Memory): Omit<Storage, 'lease'> {
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

/** What a replay needs of every launch. */
export async function bindAll(
  device: Device,
  launches: readonly Launch[],
  plan: MemoryPlan,
  memory: Memory,
  pipelines: ReadonlyMap<string, Pipeline>,
): Promise<{ steps: Step[]; sizeBuffer: GPUBuffer | null }> {
  const { buffer: sizeBuffer, sizes } = writeSizes(device, launches, pipelines);
  const bindOne = (item: Launch, i: number): Step => {
    const copies = copiesOf(item, plan, memory);
    if (!item.kernel) return { launch: item, dispatch: null, copies };
    const { pipeline, layout } = pipelines.get(kernelKey(item.kernel))!;
    const bindGroup = bind(device, item, layout, plan, memory, sizes[i]);
    return { launch: item, dispatch: { pipeline, bindGroup }, copies };
  };
  try {
    const { result: steps, error } = await scoped(device, 'validation', () => launches.map(bindOne));
    if (error) throw new DeviceError(`recording failed: ${error.message}`);
    return { steps, sizeBuffer };
  } catch (error) {
    if (sizeBuffer) device.pool.release(sizeBuffer);
    throw error;
  }
}

/** The results with the memory a run leaves them in: tensors of their own, even where they were views. */
export function bindOutputs<Out extends Record<string, Tensor>>(
  { pool }: Device,
  outputs: Out,
  plan: MemoryPlan,
  memory: Memory,
) {
  const made = new Map<number, Tensor>();
  for (const tensor of Object.values(outputs)) {
    const place = placeOf(tensor, plan, memory);
    const storage = { ...place, lease: pool.leaseOf(place.buffer) };
    made.set(tensor.id, { ...tensor, base: null, offset: 0, storage });
  }
  return Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, made.get(t.id)!])) as Out;
}
