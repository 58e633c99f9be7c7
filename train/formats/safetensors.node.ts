/**
 * safetensors files of any size: tensors go in and out one at a time (format: train/formats/safetensors.ts).
 */
import { CheckpointError } from '../../engine/errors.ts';
import { type ByteSink, type ByteSource, naming, openSource, writeAtomically } from './file.node.ts';
import {
  elementCount,
  fromBytes,
  type HostTensor,
  itemSize,
  type TensorData,
  toBytes,
} from './hostTensor.ts';
import {
  headerLength,
  LENGTH_BYTES,
  layoutSafetensors,
  parseHeader,
  type TensorEntry,
  type TensorSpec,
} from './safetensors.ts';

/** An open file. `read` throws a CheckpointError for a name that is not in `tensors`. */
export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  read(name: string): Promise<HostTensor>;
  close(): Promise<void>;
}

/**
 * A tensor whose data is asked for when its turn comes: whole, or in pieces that follow each other (so that
 * a 1 GiB tensor can come out of the GPU through a small staging buffer).
 */
export interface TensorSource extends TensorSpec {
  read(): TensorData | Promise<TensorData> | AsyncIterable<TensorData>;
}

/** Opens a file and reads its header. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const source = await openSource(path);
  try {
    return await openSafetensorsSource(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The same over any bytes; closing the result closes `source`. */
export async function openSafetensorsSource(source: ByteSource): Promise<SafetensorsFile> {
  const { metadata, tensors, dataStart } = await readHeader(source);
  return {
    metadata,
    tensors,
    read: async (name) => {
      const entry = tensors.get(name);
      if (!entry) throw new CheckpointError(`${source.path}: has no tensor "${name}"`);
      const bytes = await source.read(dataStart + entry.begin, entry.end - entry.begin);
      return { shape: entry.shape, dtype: entry.dtype, data: fromBytes(entry.dtype, bytes) };
    },
    close: () => source.close(),
  };
}

function readHeader(source: ByteSource) {
  return naming(source.path, async () => {
    const first = await source.read(0, Math.min(LENGTH_BYTES, source.size));
    const dataStart = LENGTH_BYTES + headerLength(first, source.size);
    const json = await source.read(LENGTH_BYTES, dataStart - LENGTH_BYTES);
    return { ...parseHeader(json, source.size - dataStart), dataStart };
  });
}

/**
 * Writes a file atomically (see `writeAtomically`), asking each tensor for its data in file order: by
 * falling item size, else as given. At most one tensor (or piece of one) is in memory at a time.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorSource>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const { head, order } = layoutSafetensors(tensors, metadata);
  await writeAtomically(path, async (to) => {
    await to.write(head);
    for (const tensor of order) await writeTensorData(to, tensor);
  });
}

/** Appends one tensor's data and checks its length; `each` sees every piece (for checksums). */
export async function writeTensorData(
  to: ByteSink,
  tensor: TensorSource,
  each: (bytes: Uint8Array) => void = () => {},
): Promise<void> {
  const need = elementCount(tensor.shape) * itemSize(tensor.dtype);
  const begin = to.position;
  for await (const piece of pieces(tensor)) {
    const bytes = toBytes(piece);
    if (to.position - begin + bytes.length > need) throw wrongLength(tensor, need, 'more');
    each(bytes);
    await to.write(bytes);
  }
  if (to.position - begin !== need) throw wrongLength(tensor, need, `${to.position - begin}`);
}

async function* pieces(tensor: TensorSource): AsyncIterable<TensorData> {
  const data = await tensor.read();
  if (ArrayBuffer.isView(data)) yield data;
  else yield* data;
}

function wrongLength({ name, dtype, shape }: TensorSpec, need: number, got: string): CheckpointError {
  return new CheckpointError(`tensor "${name}" ${dtype} [${shape}] needs ${need} bytes, was given ${got}`);
}
