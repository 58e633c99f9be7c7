import {
  beginRead,
  cancelRead,
  checkDevice,
  type Device,
  dispose,
  type FlatBuffer,
  finish,
  finishRead,
  flatBuffer,
  type Piece,
  type Program,
  place,
  type Reading,
  type Recording,
  record,
  run,
  runInPortions,
  type Tensor,
  trace,
  upload,
} from '../engine/index.ts';
import {
  allocateInputs,
  freeInputs,
  type Inputs,
  type Model,
  recordStep,
  setHypers,
  setNoise,
} from '../model/model.ts';
import type { Batch } from './data/loader.ts';

/** A recorded training step with its inputs, and the losses of the last steps on the GPU. */
export interface Session {
  readonly model: Model;
  /** Of the random inputs. */
  readonly seed: number;
  readonly step: Program<Record<string, Tensor>>;
  readonly lossNames: readonly string[];
  readonly inputs: Inputs;
  /** Each loss at a boundary of its own, written by the step: the terms, and the totals summed from them. */
  readonly losses: readonly FlatBuffer[];
  /** News of the steps that were submitted and not yet read, oldest first, on their way to the host. */
  readonly flying: Reading[];
  /** When the last step was computed, and how long (milliseconds) after the one before. */
  readonly pace: { at: number; ms: number };
}

/**
 * Steps that may be submitted and not yet computed: the one at work, and one waiting behind it so that the
 * GPU is never idle. Whoever stops a run waits for them, and news of a loss is this old.
 */
export const IN_FLIGHT = 2;

/**
 * Where another step waits behind the one at work, two looks at this one are this part of a step apart, and
 * these milliseconds at most: a look takes the processor a moment, and a late one costs nothing.
 */
const LOOK = 1 / 25;
const LOOK_MS = 20;

/** Floats between two losses in the flat buffer. */
const SLOT = 64;

function placeLosses(
  device: Device,
  names: readonly string[],
  losses: Readonly<Record<string, Tensor>>,
): FlatBuffer {
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
function recordWithLosses(model: Model, inputs: Inputs): PlacedLosses {
  const { all, totals } = recordStep(model, inputs);
  // A dispatch that reads terms and writes a total must find them in different buffers.
  const groups = [Object.keys(all).filter((name) => !totals.includes(name)), [...totals]];
  const buffers = groups.map((group) => placeLosses(model.device, group, all));
  return { names: groups.flat(), buffers };
}

/** The training step of a model on a paper device as a session records it, and its inputs; nothing runs. */
export function traceTraining(model: Model): Recording<Record<string, Tensor>> & { readonly inputs: Inputs } {
  const inputs = allocateInputs(model);
  const recording = trace(model.device, () => {
    recordWithLosses(model, inputs);
    return {};
  });
  return { ...recording, inputs };
}

/** Records the training step of a model: compiles kernels, plans memory, and allocates it. */
export async function openSession(
  model: Model,
  onCompile?: (done: number, total: number) => void,
  seed = 0,
): Promise<Session> {
  const { device } = model;
  const inputs = allocateInputs(model);
  let losses: PlacedLosses = { names: [], buffers: [] };
  const build = () => {
    losses = recordWithLosses(model, inputs);
    return {};
  };
  const step = await record(device, build, onCompile).catch((error) => {
    freeTensors(model, inputs, losses.buffers);
    throw error;
  });
  reserveReadings(model, losses.buffers);
  const { names: lossNames, buffers } = losses;
  const pace = { at: 0, ms: 0 };
  return { model, seed, step, lossNames, inputs, losses: buffers, flying: [], pace };
}

function freeTensors(model: Model, inputs: Inputs, losses: readonly FlatBuffer[]): void {
  freeInputs(model, inputs);
  for (const { buffer } of losses) model.device.pool.release(buffer);
}

/** What the host hears of a step: its losses, and which networks are lost. */
function piecesOf({ health }: Model, losses: readonly FlatBuffer[]): Piece[] {
  const [flags] = health.flags.views;
  const { buffer, offset, bytes } = flags.storage!;
  return [
    ...losses.map((flat) => ({ buffer: flat.buffer, offset: 0, bytes: flat.bytes })),
    { buffer, offset, bytes },
  ];
}

/** Has the pool make what the steps in flight copy their news to, so that none of them makes any. */
function reserveReadings(model: Model, losses: readonly FlatBuffer[]): void {
  const { device } = model;
  const readings = Array.from({ length: IN_FLIGHT }, () => beginRead(device, piecesOf(model, losses)));
  for (const reading of readings) cancelRead(device, reading);
}

function uploadInputs({ model, inputs, seed }: Session, batch: Batch, number: number, lr: number): void {
  const { device } = model;
  upload(device, inputs.real.A, batch.a);
  upload(device, inputs.real.B, batch.b);
  setNoise(model, inputs, seed, number);
  setHypers(model, inputs.hypers, number, lr);
}

/** Submits one iteration; returns without waiting for the GPU. `number` counts from 1. */
export function runStep(session: Session, batch: Batch, number: number, lr: number): void {
  const { model, step, losses, flying } = session;
  uploadInputs(session, batch, number, lr);
  run(step);
  flying.push(beginRead(model.device, piecesOf(model, losses)));
}

/**
 * The same for the first iteration of a session, which may take minutes where the driver compiles kernels
 * when they first run; waits for it.
 * @param between called every now and then; what it throws ends the iteration half-way, and the model is of
 *   no use then
 */
export async function runFirstStep(
  session: Session,
  batch: Batch,
  number: number,
  lr: number,
  between: () => void,
): Promise<void> {
  const { model, step, losses, flying } = session;
  uploadInputs(session, batch, number, lr);
  await runInPortions(step, between);
  flying.push(beginRead(model.device, piecesOf(model, losses)));
}

/** What is known of a step that was computed. */
export interface StepNews {
  readonly losses: Record<string, number>;
  /** Networks with a parameter or moment that is not finite. */
  readonly lost: readonly string[];
}

/**
 * Waits until at most `ahead` of the submitted steps are still to be computed; gives the news of each one
 * computed since the last call, oldest first.
 */
export async function readNews(session: Session, ahead = 0): Promise<StepNews[]> {
  const { model, lossNames, flying } = session;
  const news: StepNews[] = [];
  while (flying.length > ahead) {
    const reading = flying.shift()!;
    const values = new Float32Array(reading.bytes / 4);
    const behind = flying.length > 0;
    await finishRead(model.device, reading, values, behind ? Math.min(LOOK_MS, session.pace.ms * LOOK) : 0);
    notePace(session);
    checkDevice(model.device);
    const flags = values.subarray(lossNames.length * SLOT);
    news.push({
      losses: Object.fromEntries(lossNames.map((name, i) => [name, values[i * SLOT]])),
      lost: model.health.names.filter((_, i) => flags[i] !== 0),
    });
  }
  return news;
}

/** Waits for the submitted steps; gives the losses of those that were not read yet, oldest first. */
export async function readLosses(session: Session): Promise<Record<string, number>[]> {
  return (await readNews(session)).map(({ losses }) => losses);
}

function notePace({ pace }: Session): void {
  const now = performance.now();
  pace.ms = pace.at > 0 ? now - pace.at : 0;
  pace.at = now;
}

/** Frees what the session allocated (not the model). */
export async function closeSession(session: Session): Promise<void> {
  const { model, step, inputs, losses, flying } = session;
  await finish(model.device);
  dispose(step);
  for (const reading of flying.splice(0)) cancelRead(model.device, reading);
  freeTensors(model, inputs, losses);
}
