/**
 * One view of a checkpoint, whatever wrote it: PyTorch's .pt (zip or legacy) or safetensors, told apart by
 * their content. Names are the authors' state_dict names behind the network's: `genA2B.`, `genB2A.`,
 * `disGA.`, `disGB.`, `disLA.`, `disLB.`, whatever the keys under which the file has them (`arrange.ts`); the
 * tensors of one network alone have bare names.
 */

import { CheckpointError } from '../../engine/errors.ts';
import { DEFAULT_RECIPE } from '../../model/recipes.ts';
import { type Arrangement, arrangeNames, ownNames } from './arrange.ts';
import { type ByteSource, naming, openSource } from './file.node.ts';
import { type DType, type HostTensor, toFloat32 } from './hostTensor.ts';
import { openSafetensorsSource } from './safetensors.node.ts';
import { LENGTH_BYTES, MAX_HEADER_BYTES } from './safetensors.ts';
import { recipeSaid } from './said.ts';
import { isLegacyTorch, openTorch } from './torch/read.ts';
import { flattenStateDicts } from './torch/stateDict.ts';
import { isZip } from './torch/zip.ts';
import type { CheckpointView } from './view.ts';

/** What the two kinds of files have in common. */
interface Contents {
  kind: CheckpointView['kind'];
  metadata: Readonly<Record<string, string>>;
  objects: ReadonlyMap<string, string>;
  tensors: Map<string, { shape: number[]; dtype: DType; read: () => Promise<HostTensor> }>;
}

/** How to look at a file. */
export interface OpenOptions {
  /** Only at what lies below this key, as if it were all. */
  key?: string;
}

/** Opens a checkpoint and reads its list of tensors, not their data. */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<CheckpointView> {
  return openCheckpointSource(await openSource(path), options);
}

/** The same over any bytes; the view's `close` closes them. */
export async function openCheckpointSource(
  source: ByteSource,
  { key }: OpenOptions = {},
): Promise<CheckpointView> {
  try {
    return await naming(source.path, async () => {
      const contents = await openContents(source);
      const names = [...contents.tensors.keys()];
      const { recipe = DEFAULT_RECIPE } = recipeSaid(contents.metadata) ?? {};
      const plain = recipe !== DEFAULT_RECIPE && key === undefined;
      return makeView(source, contents, plain ? ownNames(names) : arrangeNames(names, key));
    });
  } catch (error) {
    await source.close();
    throw error;
  }
}

function makeView(source: ByteSource, contents: Contents, arrangement: Arrangement): CheckpointView {
  const { kind, metadata, objects, tensors } = contents;
  const { names, ...rest } = arrangement;
  const get = (name: string) => {
    const tensor = tensors.get(names.get(name) ?? '');
    if (!tensor) throw new CheckpointError(`${source.path}: has no tensor "${name}"`);
    return tensor;
  };
  return {
    path: source.path,
    ...{ kind, metadata, objects, ...rest },
    names: () => [...names.keys()],
    shape: (name) => get(name).shape,
    dtype: (name) => get(name).dtype,
    read: async (name) => toFloat32(await get(name).read()),
    readRaw: async (name) => get(name).read(),
    close: () => source.close(),
  };
}

async function openContents(source: ByteSource): Promise<Contents> {
  const first = await source.read(0, Math.min(512, source.size));
  if (isZip(first) || isLegacyTorch(first)) return torchContents(source);
  if (!isSafetensors(first)) throw new CheckpointError(`not a checkpoint: ${guessKind(first)}`);
  const { metadata, tensors, read } = await openSafetensorsSource(source);
  const named = [...tensors].map(([name, { shape, dtype }]) => {
    return [name, { shape, dtype, read: () => read(name) }] as const;
  });
  return { kind: 'safetensors', metadata, objects: new Map(), tensors: new Map(named) };
}

async function torchContents(source: ByteSource): Promise<Contents> {
  const file = await openTorch(source);
  const flat = flattenStateDicts(file.root);
  const named = [...flat.tensors].map(([name, tensor]) => {
    const { shape, storage } = tensor;
    return [name, { shape, dtype: storage.dtype, read: () => file.read(tensor) }] as const;
  });
  const { scalars, objects } = flat;
  return { kind: file.kind, metadata: scalars, objects, tensors: new Map(named) };
}

function isSafetensors(first: Uint8Array): boolean {
  if (first.length < LENGTH_BYTES + 2 || first[LENGTH_BYTES] !== 0x7b) return false;
  const high = first.subarray(4, LENGTH_BYTES).some((byte) => byte !== 0);
  return !high && new DataView(first.buffer).getUint32(0, true) <= MAX_HEADER_BYTES;
}

/** What the file seems to be instead; the first two are what failed downloads leave. */
function guessKind(first: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(first);
  if (first.length === 0) return 'the file is empty';
  if (text.startsWith('version https://git-lfs'))
    return 'a Git LFS pointer (fetch the file with git lfs pull)';
  if (/^\s*<(!doctype|html)/i.test(text)) return 'a web page (the download went wrong)';
  if (text.startsWith('\x80')) return 'a plain Python pickle, not one torch.save wrote';
  if (text.startsWith('\x1f\x8b')) return 'gzip data (unpack it first)';
  if (text.slice(257, 262) === 'ustar') return 'a tar archive (unpack it first)';
  if (text.startsWith('\x89HDF')) return 'an HDF5 file';
  return 'neither PyTorch (.pt) nor safetensors';
}
