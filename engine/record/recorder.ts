import type { Device } from '../device/device.ts';
import { type BindingKind, bindingsOf, type KernelSpec } from '../device/kernel.ts';
import type { Extent } from '../device/pool.ts';
import { AdawnError, CapacityError, KernelError } from '../errors.ts';
import { type Shape, show } from './shape.ts';
import { bytesOf, expectAlive, makeTensor, rootOf, type Tensor, viewOf } from './tensor.ts';
import { latestWrite, noteWrite, noWrites, type Writes, writtenAt } from './writes.ts';

/** A box of vec4f in a buffer that the queue copies into a texture. */
export interface CopyRegion {
  /** First vec4f in the buffer. */
  readonly first: number;
  /** From one row of the buffer to the next; WebGPU asks for a multiple of 16. */
  readonly rowStep: number;
  /** Rows from one layer to the next. */
  readonly layerRows: number;
  /** Where the box lies in the texture. */
  readonly at: readonly [x: number, y: number, layer: number];
  readonly size: Extent;
}

/** One step of the program: a specialised kernel, what it binds in order, and its grid; or copies. */
export interface Launch {
  /** Null: the queue copies `copies` of the first binding into the second, a texture. */
  readonly kernel: KernelSpec | null;
  /** The op it belongs to, for profiles and errors: `conv2d.backwardWeight`. */
  readonly label: string;
  readonly bindings: readonly Tensor[];
  /** Parallel to `bindings`: which of them it writes. */
  readonly writes: readonly boolean[];
  readonly grid: readonly [number, number, number];
  readonly copies: readonly CopyRegion[];
}

/** How a differentiable op passes gradients on. `need[i]` is false where nobody asked for input i's. */
export type Backward = (dy: (Tensor | null)[], need: boolean[]) => (Tensor | null)[];

/** Activation checkpointing: on the way back the forward ops are recorded again, and those differentiated. */
export interface Recomputation {
  /** @returns the same outputs as new tensors */
  readonly recompute: () => readonly Tensor[];
}

/** An op as the autograd sees it: what came in, what went out, and the rule back. */
export interface GraphNode {
  readonly op: string;
  readonly order: number;
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Tensor[];
  readonly backward: Backward | Recomputation;
  /** Tensors whose values the rule reads. */
  readonly reads: readonly Tensor[];
  /** Latest launches that had written those when the op was recorded (`writtenBy`). */
  readonly versions: readonly number[];
}

/** A result that stays valid until a tensor it came from is written: packed weights, tiles of a picture. */
export interface Remembered {
  readonly value: unknown;
  readonly sources: readonly Tensor[];
  /** Latest launches that had written the sources when it was made. */
  readonly versions: readonly number[];
  /** Launches there were at its latest use. */
  used: number;
}

/** What `record` fills: the launches in order, and the graph for differentiation. */
export interface Recorder {
  readonly device: Device;
  readonly launches: Launch[];
  /** By id of the output tensor. */
  readonly producers: Map<number, GraphNode>;
  readonly memo: Map<string, Remembered>;
  readonly writes: Writes;
  /** Launches that belong to the way back of an op, and its name. */
  readonly backwardOf: Map<Launch, string>;
  /** The op whose gradients are being recorded; null during the forward pass. */
  differentiating: string | null;
  nodes: number;
}

let current: Recorder | null = null;

/** The program being recorded. @throws AdawnError outside of `record` or `evaluate`. */
export function recorder(): Recorder {
  if (!current) throw new AdawnError('tensor ops run inside record() or evaluate() only');
  return current;
}

/** Runs `build` with a fresh recorder as the current one. */
export function withRecorder<T>(device: Device, build: () => T): { recorded: Recorder; result: T } {
  if (current) throw new AdawnError('record() inside record()');
  const recorded: Recorder = {
    device,
    launches: [],
    producers: new Map(),
    memo: new Map(),
    writes: noWrites(),
    backwardOf: new Map(),
    differentiating: null,
    nodes: 0,
  };
  current = recorded;
  try {
    return { recorded, result: build() };
  } finally {
    current = null;
  }
}

/** A new intermediate tensor of the program being recorded. */
export function intermediate(shape: Shape, label = ''): Tensor {
  return makeTensor(shape, { label });
}

/** Whether the device has storage textures of this extent. */
export function fitsTexture(device: Device, { width, height, layers }: Extent): boolean {
  const { maxTextureDimension2D: side, maxTextureArrayLayers: deep } = device.gpu.limits;
  return width <= side && height <= side && layers <= deep;
}

/** Vec4f in a row that the queue can copy: WebGPU asks for multiples of 256 bytes. */
export const COPY_ROW = 16;

/**
 * Copies boxes of a buffer into a texture by the queue. lavapipe does that five to ten times as fast as a
 * kernel that stores texels.
 */
export function copyRegions(x: Tensor, y: Tensor, label: string, copies: readonly CopyRegion[]): void {
  checkBinding(recorder().device, label, x, 'read');
  checkBinding(recorder().device, label, y, 'writeTexture');
  if (copies.some(({ rowStep }) => rowStep % COPY_ROW !== 0)) {
    throw new KernelError(`${label}: the queue copies rows of a multiple of ${COPY_ROW} vec4f`);
  }
  append({ kernel: null, label, bindings: [x, y], writes: [false, true], grid: [1, 1, 1], copies });
}

export interface LaunchParts {
  readonly kernel: string;
  readonly entry?: string;
  readonly constants?: Record<string, number | boolean | string>;
  readonly label: string;
  readonly bind: readonly Tensor[];
  /** Workgroups in x, y, z. */
  readonly grid: readonly [number, number, number];
}

function checkBinding(device: Device, launched: string, tensor: Tensor, kind: BindingKind): void {
  const { texture, label } = tensor;
  if ((texture !== null) !== kind.endsWith('Texture')) {
    throw new KernelError(`${launched}: ${label} ${show(tensor.shape)} is bound as ${kind}`);
  }
  if (texture) {
    if (fitsTexture(device, texture)) return;
    throw new CapacityError(`${launched}: ${label} ${show(tensor.shape)} exceeds this adapter's textures`);
  }
  if (bytesOf(tensor) > device.maxBinding) {
    throw new CapacityError(
      `${launched}: ${tensor.label || 'tensor'} ${show(tensor.shape)} needs ` +
        `${Math.ceil(bytesOf(tensor) / 2 ** 20)} MiB in one binding, this adapter allows ` +
        `${Math.floor(device.maxBinding / 2 ** 20)} MiB`,
    );
  }
}

/** What a write to a tensor changes: its whole buffer where that lives on, since views overlap. */
export function memoryOf(tensor: Tensor): GPUBuffer | number {
  const root = rootOf(tensor);
  return root.storage?.buffer ?? root.id;
}

/** For each tensor the latest launch of this program, counted from 1, that wrote its memory; 0 for none. */
export function writtenBy(tensors: readonly Tensor[]): number[] {
  const { writes } = recorder();
  return tensors.map((tensor) => latestWrite(writes, tensor));
}

/** A tensor as errors name it. */
export function nameOf({ label, shape }: Tensor): string {
  return `${label || 'a tensor'} ${show(shape)}`;
}

/** What a launch reads must have been computed, and what was released is gone. */
function expectComputed({ label, bindings, writes }: Launch): void {
  const rec = recorder();
  bindings.forEach((tensor, i) => {
    const { storage } = rootOf(tensor);
    if (storage) expectAlive(rec.device, storage, `${label}: ${nameOf(tensor)}`);
    else if (!writes[i] && !writtenAt(rec.writes, tensor)) {
      throw new KernelError(`${label}: reads ${nameOf(tensor)}, which no launch has computed yet`);
    }
  });
}

/** WebGPU refuses a launch that binds one buffer both to be read and to be written, even in other parts. */
export function expectApart({ label, bindings, writes }: Launch): void {
  bindings.forEach((written, i) => {
    if (!writes[i]) return;
    const read = bindings.find((tensor, j) => !writes[j] && memoryOf(tensor) === memoryOf(written));
    if (!read) return;
    throw new KernelError(
      `${label}: reads ${nameOf(read)} and writes ${nameOf(written)}, which lie in one buffer: ` +
        'WebGPU allows a launch to read a buffer or to write it; give one of them a buffer of its own',
    );
  });
}

function append(item: Launch): void {
  const { launches, writes, backwardOf, differentiating } = recorder();
  expectComputed(item);
  expectApart(item);
  launches.push(item);
  if (differentiating !== null) backwardOf.set(item, differentiating);
  item.bindings.forEach((tensor, i) => {
    if (item.writes[i]) noteWrite(writes, tensor, launches.length);
  });
}

function checkGrid(device: Device, label: string, grid: LaunchParts['grid']): void {
  if (grid.some((n) => n < 1)) throw new KernelError(`${label}: grid ${show(grid)} has nothing to do`);
  const limit = device.gpu.limits.maxComputeWorkgroupsPerDimension;
  if (grid.every((n) => n <= limit)) return;
  throw new CapacityError(`${label}: ${Math.max(...grid)} workgroups in a row, this adapter allows ${limit}`);
}

/** Appends one dispatch. Which bindings it writes is read off the kernel's text. */
export function launch(parts: LaunchParts): void {
  const { device } = recorder();
  const { kernel: name, entry = 'main', constants = {}, label, bind, grid } = parts;
  const kernel = { name, entry, constants };
  const kinds = bindingsOf(kernel);
  if (kinds.length !== bind.length) {
    throw new KernelError(`${label}: kernel ${name} has ${kinds.length} bindings, got ${bind.length}`);
  }
  bind.forEach((tensor, i) => {
    checkBinding(device, label, tensor, kinds[i]);
  });
  checkGrid(device, label, grid);
  const writes = kinds.map((kind) => kind === 'write' || kind === 'writeTexture');
  append({ kernel, label, bindings: bind, writes, grid, copies: [] });
}

/** Workgroups for `threads` invocations, folded into y where x would exceed WebGPU's 65535. */
export function grid1d(threads: number, workgroup: number): [number, number, number] {
  const groups = Math.ceil(threads / workgroup);
  if (groups <= 65535) return [groups, 1, 1];
  const y = Math.ceil(groups / 65535);
  return [Math.ceil(groups / y), y, 1];
}

/**
 * Declares an op to the autograd: what it computed from what, and the rule back. Launches that nobody
 * declares have no derivative: where one is asked for, `gradients` throws.
 * @param reads tensors whose values the rule reads, all inputs and outputs unless said otherwise: when one
 *   has been overwritten by the time the rule is applied, `gradients` throws
 */
export function differentiable(
  op: string,
  inputs: readonly (Tensor | null)[],
  outputs: readonly Tensor[],
  backward: Backward | Recomputation,
  reads: readonly Tensor[] = [...inputs, ...outputs].filter((t) => t !== null),
): void {
  const rec = recorder();
  const node: GraphNode = {
    op,
    order: rec.nodes++,
    inputs,
    outputs,
    backward,
    reads,
    versions: writtenBy(reads),
  };
  for (const output of outputs) rec.producers.set(output.id, node);
}

/** The same elements under another shape, without a launch. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const y = viewOf(x, shape);
  differentiable('reshape', [x], [y], ([dy]) => [reshape(dy!, x.shape)], []);
  return y;
}

/**
 * The same values without their past: gradients do not go through it (`torch.Tensor.detach`). Memory is
 * shared, nothing is launched.
 */
export function constant(x: Tensor): Tensor {
  const y = viewOf(x, x.shape);
  differentiable('constant', [], [y], () => []);
  return y;
}

/** The kernel variant to use for an op: the forced one where there is one, else `preferred`. */
export function variantOf(op: string, preferred: string): string {
  return recorder().device.variants[op] ?? preferred;
}
