import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  type HostTensor as FileTensor,
  parseSafetensors,
  serializeSafetensors,
} from '../../train/formats/safetensors.ts';

// How the parent talks to the frameworks: each lives in a process of its own for the whole run, takes a line
// of JSON and answers with one. Tensors travel in safetensors files.

/** A tensor in PyTorch's order: pictures [N,C,H,W], convolutions [O,I,H,W]. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type HostTensors = Record<string, HostTensor>;

/** What a worker needs to know of a case; the rest is in the shapes of its tensors. */
export interface Task {
  readonly kind: 'conv' | 'instance' | 'adailn' | 'generator' | 'step';
  /** Gradients of all inputs too, for the cotangent `dy`. */
  readonly backward: boolean;
  readonly pad: number;
  readonly stride: number;
  /** Of networks. */
  readonly ch: number;
  readonly nRes: number;
  readonly disLayers: readonly [number, number];
  /** Training iterations that are compared; the second one sees the updates of both optimisers. */
  readonly iterations: number;
}

export type Request =
  | { readonly do: 'hello' }
  | { readonly do: 'open'; readonly task: Task; readonly inputs: string; readonly results: string }
  /** Runs `repeats` times and waits; `expected` milliseconds in all, 0 where unknown. */
  | { readonly do: 'sample'; readonly repeats: number; readonly expected: number }
  | { readonly do: 'close' };

/** Who answers, and what its numbers depend on: `threads` and the like. */
export interface Hello {
  readonly version: string;
  readonly details: Record<string, string>;
  /** The adapter all on WebGPU share; from adawn's worker. */
  readonly gpu?: { readonly adapter: string; readonly driver: string; readonly dawn: string };
}

/** A case made ready in a framework. */
export interface Prepared {
  /** Starts one run; a framework that computes at once has then finished it. */
  run(): void | Promise<void>;
  /** Waits until all runs have ended: the queue is drained, or the losses are on the host. */
  finish(): Promise<void>;
  /** What was computed, to be compared: from runs of its own, before any sample. */
  results(): Promise<HostTensors>;
  close(): void | Promise<void>;
}

export interface Framework {
  hello(): Hello | Promise<Hello>;
  /** @throws Unsupported with the reason. */
  open(task: Task, inputs: HostTensors): Promise<Prepared>;
  /** Told how long the coming wait will take, so that it can sleep instead of polling. */
  expect?(ms: number): void;
}

/** Answers start with this: some libraries print to standard output too. */
export const ANSWER = '> ';

/** Reads a file of tensors. */
export function readTensors(path: string): HostTensors {
  const { tensors } = parseSafetensors(readFileSync(path));
  return Object.fromEntries(
    [...tensors].map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }]),
  );
}

/** Writes a file of tensors. */
export function writeTensors(path: string, tensors: HostTensors): void {
  const entries = Object.entries(tensors).map(([name, { shape, data }]): [string, FileTensor] => [
    name,
    { dtype: 'F32', shape: [...shape], data },
  ]);
  writeFileSync(path, serializeSafetensors(entries));
}

async function sample(framework: Framework, prepared: Prepared, repeats: number, expected: number) {
  framework.expect?.(expected);
  const start = performance.now();
  for (let i = 0; i < repeats; i++) await prepared.run();
  await prepared.finish();
  return (performance.now() - start) / repeats;
}

/** Answers requests until standard input ends. */
export async function serve(framework: Framework): Promise<void> {
  let prepared: Prepared | null = null;
  async function answer(request: Request): Promise<object> {
    if (request.do === 'hello') return { hello: await framework.hello() };
    if (request.do === 'open') {
      prepared = await framework.open(request.task, readTensors(request.inputs));
      writeTensors(request.results, await prepared.results());
      return {};
    }
    if (!prepared) throw new Error(`${request.do}: no case is open`);
    if (request.do === 'sample') {
      return { ms: await sample(framework, prepared, request.repeats, request.expected) };
    }
    await prepared.close();
    prepared = null;
    return {};
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await answer(JSON.parse(line) as Request).catch((error: Error) => ({
      error: error.stack ?? String(error),
    }));
    process.stdout.write(`${ANSWER}${JSON.stringify(reply)}\n`);
  }
}
