/** Writes .pt files that PyTorch loads: the zip format of 1.6 and later, or the legacy one. */
import { CheckpointError } from '../../../engine/errors.ts';
import { type ByteSink, writeAtomically } from '../file.node.ts';
import { elementCount, itemSize } from '../hostTensor.ts';
import { AUTHORS, splitName } from '../names.ts';
import { type TensorSource, writeTensorData } from '../safetensors.node.ts';
import type { TensorSpec } from '../safetensors.ts';
import {
  type PickledEntry,
  type PickledTensor,
  type PickledTree,
  type Plain,
  picklePlain,
  pickleTree,
} from './pickle.ts';
import { zipWriter } from './zipWriter.ts';

/** Folder inside the archive; torch takes any. */
const FOLDER = 'archive';

/** How to write a .pt file. */
export interface TorchOptions {
  /** PyTorch's format before 1.6. */
  readonly legacy?: boolean;
  /** Networks that get a dictionary each; absent: those of files that do not say whose they are. */
  readonly networks?: readonly string[];
  /** Texts beside the tensors. */
  readonly texts?: Readonly<Record<string, string>>;
}

/**
 * Writes `{G: OrderedDict(...), ...}` of tensors named `G.…` for every network (and tensors without such a
 * prefix beside them) atomically, asking each tensor for its data when its turn comes. In the order given.
 */
export async function writeTorch(
  path: string,
  tensors: Iterable<TensorSource>,
  { legacy = false, networks = AUTHORS.networks, texts = {} }: TorchOptions = {},
): Promise<void> {
  const list = [...tensors];
  const tree = new Map<string, PickledEntry>([...Object.entries(texts), ...buildTree(list, networks)]);
  await writeAtomically(path, (to) => (legacy ? writeLegacy(to, list, tree) : writeZip(to, list, tree)));
}

function buildTree(tensors: readonly TensorSpec[], networks: readonly string[]): PickledTree {
  const tree = new Map<string, PickledTensor | Map<string, PickledTensor>>();
  tensors.forEach(({ name, dtype, shape }, i) => {
    const { network, rest } = splitName(name, networks);
    const count = elementCount(shape);
    if (Number.isNaN(count)) throw new CheckpointError(`tensor "${name}": shape [${shape}]`);
    if (network !== '' && !tree.has(network)) tree.set(network, new Map());
    const inner = network === '' ? tree : tree.get(network);
    if (!(inner instanceof Map) || inner.has(rest)) {
      throw new CheckpointError(`tensor "${name}" is given twice`);
    }
    inner.set(rest, { key: String(i), dtype, shape, count });
  });
  return tree;
}

async function writeZip(to: ByteSink, tensors: readonly TensorSource[], tree: PickledTree): Promise<void> {
  const zip = zipWriter(to);
  const addBytes = (name: string, bytes: Uint8Array) =>
    zip.add(`${FOLDER}/${name}`, bytes.length, async (each) => {
      each(bytes);
      await to.write(bytes);
    });
  await addBytes('data.pkl', pickleTree(tree, false));
  await addBytes('byteorder', new TextEncoder().encode('little'));
  for (const [i, tensor] of tensors.entries()) {
    const size = elementCount(tensor.shape) * itemSize(tensor.dtype);
    await zip.add(`${FOLDER}/data/${i}`, size, (each) => writeTensorData(to, tensor, each));
  }
  await addBytes('version', new TextEncoder().encode('3\n'));
  await zip.finish();
}

/** Magic number, protocol and machine that torch/serialization.py (_legacy_save) writes. */
const LEGACY_HEAD: Plain[] = [
  0x1950a86a20f9469cfc6cn,
  1001,
  new Map<string, Plain>([
    ['protocol_version', 1001],
    ['little_endian', true],
    [
      'type_sizes',
      new Map([
        ['short', 2],
        ['int', 4],
        ['long', 4],
      ]),
    ],
  ]),
];

async function writeLegacy(to: ByteSink, tensors: readonly TensorSource[], tree: PickledTree): Promise<void> {
  for (const value of LEGACY_HEAD) await to.write(picklePlain(value));
  await to.write(pickleTree(tree, true));
  await to.write(picklePlain(tensors.map((_, i) => String(i))));
  for (const tensor of tensors) {
    const count = new Uint8Array(8);
    new DataView(count.buffer).setBigUint64(0, BigInt(elementCount(tensor.shape)), true);
    await to.write(count);
    await writeTensorData(to, tensor);
  }
}
