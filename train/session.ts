import { type Device, finish } from '../engine/device/device.ts';
import { adamHyper } from '../engine/ops/adam.ts';
import { place } from '../engine/record/place.ts';
import { allocate, type FlatBuffer, flatBuffer, release, type Tensor } from '../engine/record/tensor.ts';
import { dispose, type Program, record, run } from '../engine/run/program.ts';
import { read, upload } from '../engine/run/transfer.ts';
import { type Losses, trainingStep } from '../model/ugatit/trainingStep.ts';
import type { Ugatit } from '../model/ugatit/ugatit.ts';
import type { Batch } from './data/loader.ts';

/** A recorded training step with its inputs, and the losses of the last steps on the GPU. */
export interface Session {
  readonly model: Ugatit;
  readonly step: Program<Record<string, Tensor>>;
  readonly lossNames: readonly string[];
  readonly inputs: { readonly a: Tensor; readonly b: Tensor; readonly hyper: Tensor };
  /** Each loss at a boundary of its own, written by the step: the terms, and the totals summed from them. */
  readonly losses: readonly FlatBuffer[];
  /** Rows of all losses, one a step since the last read. */
  readonly history: Tensor;
  rows: number;
}

/** Steps between two read-backs at most. */
export const HISTORY_ROWS = 64;

/** Floats between two losses in the flat buffer. */
const SLOT = 64;

function placeLosses(device: Device, names: readonly string[], losses: Losses): FlatBuffer {
  const parts = names.map((label) => ({ label, shape: [1] }));
  const flat = flatBuffer(device, parts, 'losses');
  names.forEach((name, i) => {
    place(losses[name], flat.views[i]);
  });
  return flat;
}

/** Losses of a step, in buffers that stay. */
export interface PlacedLosses {
  readonly names: readonly string[];
  readonly buffers: readonly FlatBuffer[];
}

/** Records the training step inside `record` or `trace`, with every loss in memory that stays. */
export function recordStep(model: Ugatit, { a, b, hyper }: Session['inputs']): PlacedLosses {
  const result = trainingStep(model, a, b, hyper);
  const names = Object.keys(result.losses);
  const isTotal = (name: string) => name === 'D.loss' || name === 'G.loss';
  // A dispatch that reads terms and writes a total must find them in different buffers.
  const groups = [names.filter((n) => !isTotal(n)), names.filter(isTotal)];
  const buffers = groups.map((group) => placeLosses(model.device, group, result.losses));
  return { names: groups.flat(), buffers };
}

/** Records the training step of a model: compiles kernels, plans memory, and allocates it. */
export async function openSession(
  model: Ugatit,
  onCompile?: (done: number, total: number) => void,
): Promise<Session> {
  const { device, config } = model;
  const shape = [config.batch, config.size, config.size, 3];
  const inputs = {
    a: allocate(device, shape, 'batch A'),
    b: allocate(device, shape, 'batch B'),
    hyper: allocate(device, [4], 'Adam numbers'),
  };
  let recorded: PlacedLosses = { names: [], buffers: [] };
  const step = await record(
    device,
    () => {
      recorded = recordStep(model, inputs);
      return {};
    },
    onCompile,
  );
  const { names: lossNames, buffers: losses } = recorded;
  const history = allocate(device, [HISTORY_ROWS, lossNames.length * SLOT], 'loss history');
  return { model, step, lossNames, inputs, losses, history, rows: 0 };
}

/** Submits one iteration; returns without waiting for the GPU. `number` counts from 1. */
export function runStep(session: Session, batch: Batch, number: number, lr: number): void {
  const { model, inputs, step, losses, history } = session;
  const { device } = model;
  upload(device, inputs.a, batch.a);
  upload(device, inputs.b, batch.b);
  upload(device, inputs.hyper, adamHyper(number, lr));
  run(step);
  const encoder = device.gpu.createCommandEncoder();
  let at = session.rows * session.lossNames.length * SLOT * 4;
  for (const { buffer, bytes } of losses) {
    encoder.copyBufferToBuffer(buffer, 0, history.storage!.buffer, at, bytes);
    at += bytes;
  }
  device.gpu.queue.submit([encoder.finish()]);
  session.rows++;
}

/** Waits for the submitted steps and gives each one's losses, oldest first; empties the history. */
export async function readLosses(session: Session): Promise<Record<string, number>[]> {
  const { model, history, lossNames, rows } = session;
  session.rows = 0;
  if (rows === 0) return [];
  const values = await read(model.device, history);
  return Array.from({ length: rows }, (_, r) => {
    const at = (i: number) => values[(r * lossNames.length + i) * SLOT];
    return Object.fromEntries(lossNames.map((name, i) => [name, at(i)]));
  });
}

/** Frees what the session allocated (not the model). */
export async function closeSession({ model, step, inputs, losses, history }: Session): Promise<void> {
  await finish(model.device);
  dispose(step);
  for (const tensor of [...Object.values(inputs), history]) release(model.device, tensor);
  for (const { buffer } of losses) model.device.pool.release(buffer);
}
