import type { Arrangement } from './arrange.ts';
import type { DType, HostTensor } from './hostTensor.ts';

/** Names and shapes: what it takes to describe or match a file. */
export interface TensorShapes {
  /** Networks that names may begin with, in their order. */
  readonly networks: readonly string[];
  names(): string[];
  shape(name: string): readonly number[];
}

/** An open checkpoint. Reading a name it does not have throws a CheckpointError. */
export interface CheckpointView extends TensorShapes, Omit<Arrangement, 'names'> {
  readonly path: string;
  readonly kind: 'torch-zip' | 'torch-legacy' | 'safetensors';
  /** safetensors: its metadata; .pt: numbers and strings beside the tensors, as text. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Objects in a .pt beside its tensors that are not read, by path: what they are, in words. */
  readonly objects: ReadonlyMap<string, string>;
  dtype(name: string): DType;
  /** Values in C order as float32, whatever type the file has. */
  read(name: string): Promise<Float32Array>;
  /** The same in the file's own type. */
  readRaw(name: string): Promise<HostTensor>;
  close(): Promise<void>;
}
