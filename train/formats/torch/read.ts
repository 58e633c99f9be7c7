/**
 * PyTorch's .pt files, without PyTorch and without running anything they contain: the zip format (since 1.6)
 * and the legacy one before it (torch/serialization.py). Storages are read when a tensor is asked for.
 */
import { CheckpointError } from '../../../engine/errors.ts';
import { type ByteSource, naming } from '../file.node.ts';
import { fromBytes, type HostTensor, itemSize } from '../hostTensor.ts';
import { loadPersistent, sequence } from './globals.ts';
import { gather, isContiguous } from './strided.ts';
import { MAX_PICKLE_BYTES, unpickle } from './unpickle.ts';
import { PyDict, type PyStorage, type PyTensor, type PyValue, spanOf } from './values.ts';
import { isZip, openZip, type Zip, type ZipEntry } from './zip.ts';

/** An open .pt file. `root` is what torch.load would return; closing it closes its source. */
export interface TorchFile {
  readonly kind: 'torch-zip' | 'torch-legacy';
  readonly root: PyValue;
  /** A tensor's elements in C order. */
  read(tensor: PyTensor): Promise<HostTensor>;
  close(): Promise<void>;
}

/** Bytes of a stored storage; `offset` and `length` count bytes. */
type ReadStorage = (storage: PyStorage, offset: number, length: number) => Promise<Uint8Array>;

/** A legacy file starts with its magic number 0x1950a86a20f9469cfc6c, pickled in whatever protocol. */
export function isLegacyTorch(first: Uint8Array): boolean {
  return first[0] === 0x80 && [0x8a, 0x0a, 0x6c, 0xfc].every((byte, i) => first[2 + i] === byte);
}

/** Opens either format. */
export async function openTorch(source: ByteSource): Promise<TorchFile> {
  return naming(source.path, async () => {
    const first = await source.read(0, Math.min(16, source.size));
    const zip = isZip(first);
    if (!zip && !isLegacyTorch(first)) throw new CheckpointError('not a PyTorch file');
    const { root, readStorage } = await (zip ? openZipFormat(source) : openLegacyFormat(source));
    return {
      kind: zip ? 'torch-zip' : 'torch-legacy',
      root,
      read: (tensor) => naming(source.path, () => readTensor(tensor, readStorage)),
      close: () => source.close(),
    };
  });
}

async function readTensor(tensor: PyTensor, readStorage: ReadStorage): Promise<HostTensor> {
  const { storage, shape, strides } = tensor;
  const size = itemSize(storage.dtype);
  const begin = (storage.offset + tensor.offset) * size;
  const bytes = await readStorage(storage, begin, spanOf(shape, strides) * size);
  const data = fromBytes(storage.dtype, bytes);
  const ordered = isContiguous(shape, strides) ? data : gather(data, shape, strides);
  return { shape: [...shape], dtype: storage.dtype, data: ordered };
}

/** Collects the storages a pickle mentions; each key must always mean the same one. */
function storageTable() {
  const table = new Map<string, PyStorage>();
  const persistent = (pid: PyValue): PyValue => {
    const { value, stored } = loadPersistent(pid);
    if (!stored) return value;
    const known = table.get(stored.key);
    if (known && (known.dtype !== stored.dtype || known.count !== stored.count)) {
      throw new CheckpointError(`storage ${shown(stored.key)} is described in two ways`);
    }
    table.set(stored.key, stored);
    return value;
  };
  return { table, persistent };
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 80));
}

function storageBytes({ count, dtype }: PyStorage): number {
  return count * itemSize(dtype);
}

async function openZipFormat(source: ByteSource): Promise<{ root: PyValue; readStorage: ReadStorage }> {
  const zip = await openZip(source);
  const pickle = findPickle(zip);
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  await checkByteOrder(zip, zip.entries.get(`${folder}byteorder`));
  const { table, persistent } = storageTable();
  const { value: root } = unpickle(await zip.read(pickle), persistent);
  const entries = new Map<string, ZipEntry>();
  for (const [key, storage] of table) {
    const entry = zip.entries.get(`${folder}data/${key}`);
    const need = storageBytes(storage);
    if (!entry) throw new CheckpointError(`storage ${shown(key)} is missing`);
    if (entry.size !== need) {
      throw new CheckpointError(`storage ${shown(key)} has ${entry.size} bytes, needs ${need}`);
    }
    entries.set(key, entry);
  }
  return { root, readStorage: ({ key }, offset, length) => zip.read(entries.get(key)!, offset, length) };
}

function findPickle(zip: Zip): ZipEntry {
  const found = [...zip.entries.values()].filter(({ name }) => /(^|\/)data\.pkl$/.test(name));
  if (found.length !== 1) throw new CheckpointError(otherArchive([...zip.entries.keys()]));
  const folder = found[0].name.slice(0, -'data.pkl'.length);
  if (zip.entries.has(`${folder}constants.pkl`)) {
    throw new CheckpointError('a TorchScript archive: in Python, save model.state_dict() instead');
  }
  if (found[0].size > MAX_PICKLE_BYTES) throw new CheckpointError(`data.pkl has ${found[0].size} bytes`);
  return found[0];
}

/** What to say of an archive that is no checkpoint, though one may be packed in it. */
function otherArchive(names: readonly string[]): string {
  // macOS packs a hidden companion of each file under __MACOSX.
  const files = names.filter((name) => /\.(pth?|ckpt|safetensors)$/i.test(name) && !/(^|\/)[._]/.test(name));
  if (files.length === 0) return 'a zip archive, but not one that torch.save wrote';
  const more = files.length > 1 ? ` and ${files.length - 1} more` : '';
  return `a zip archive with ${shown(files[0])}${more} in it: unpack it first`;
}

async function checkByteOrder(zip: Zip, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return;
  const order = new TextDecoder().decode(await zip.read(entry, 0, Math.min(entry.size, 16)));
  if (order !== 'little')
    throw new CheckpointError(`byte order ${JSON.stringify(order)}: only little is read`);
}

/** Five pickles (magic, protocol, system, object, storage keys), then per key a count and the raw data. */
async function openLegacyFormat(source: ByteSource): Promise<{ root: PyValue; readStorage: ReadStorage }> {
  const bytes = await source.read(0, Math.min(source.size, MAX_PICKLE_BYTES));
  const { table, persistent } = storageTable();
  let at = 0;
  const next = (): PyValue => {
    const { value, end } = unpickle(bytes, persistent, at);
    at = end;
    return value;
  };
  next();
  const protocol = next();
  if (protocol !== 1001)
    throw new CheckpointError(`legacy file of protocol ${String(protocol).slice(0, 40)}`);
  checkSystem(next());
  const root = next();
  const offsets = await locateStorages(source, table, sequence(next()), at);
  return {
    root,
    readStorage: ({ key }, offset, length) => source.read(offsets.get(key)! + offset, length),
  };
}

function checkSystem(info: PyValue): void {
  const little = info instanceof PyDict && info.entries.get('little_endian');
  if (little !== true)
    throw new CheckpointError('written on a big-endian machine: only little-endian is read');
}

/** File offsets of the storages' data, by key. */
async function locateStorages(
  source: ByteSource,
  table: ReadonlyMap<string, PyStorage>,
  keys: readonly PyValue[],
  start: number,
): Promise<Map<string, number>> {
  const offsets = new Map<string, number>();
  let at = start;
  for (const key of keys) {
    const storage = typeof key === 'string' ? table.get(key) : undefined;
    if (!storage || offsets.has(storage.key)) {
      throw new CheckpointError(
        `storage key ${shown(String(key))} is listed twice, or of no type that is read`,
      );
    }
    const count = new DataView((await source.read(at, 8)).buffer).getBigUint64(0, true);
    if (count !== BigInt(storage.count)) {
      throw new CheckpointError(
        `storage ${shown(storage.key)} has ${count} elements, needs ${storage.count}`,
      );
    }
    offsets.set(storage.key, at + 8);
    at += 8 + storageBytes(storage);
    if (at > source.size) throw new CheckpointError(`truncated: storage ${shown(storage.key)} ends at ${at}`);
  }
  for (const key of table.keys()) {
    if (!offsets.has(key)) throw new CheckpointError(`storage ${shown(key)} is missing`);
  }
  return offsets;
}
