import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint, openCheckpointSource } from '../../train/formats/checkpoint.ts';
import { type ByteSource, memorySource } from '../../train/formats/file.node.ts';
import { openSafetensors, type TensorSource } from '../../train/formats/safetensors.node.ts';
import { crc32, tableCrc32 } from '../../train/formats/torch/crc32.ts';
import { gather, isContiguous } from '../../train/formats/torch/strided.ts';
import { writeTorch } from '../../train/formats/torch/write.ts';
import { openZip } from '../../train/formats/torch/zip.ts';
import { zipWriter } from '../../train/formats/torch/zipWriter.ts';
import {
  contents,
  fixture,
  fixturePath,
  inFolder,
  makeZip,
  readAll,
  seeded,
  TWINS,
  twinOf,
} from './files.ts';
import { int, pickle, tensor, text } from './pickles.ts';

const PYTHON = '/usr/bin/python3';

async function sourcesOf(twin: string): Promise<TensorSource[]> {
  const file = await openSafetensors(fixturePath(twin));
  const list = [];
  for (const [name, { dtype, shape }] of file.tensors) {
    const { data } = await file.read(name);
    list.push({ name, dtype, shape, read: () => data });
  }
  await file.close();
  return list;
}

describe('reading', () => {
  test.each(Object.keys(TWINS))('%s: every tensor bit by bit', async (name) => {
    const view = await openCheckpoint(fixturePath(name));
    expect(view.kind).toBe(name.includes('legacy') ? 'torch-legacy' : 'torch-zip');
    expect(await contents(view)).toEqual(twinOf(name));
    await view.close();
  });

  test('numbers and text beside the tensors are metadata', async () => {
    const view = await openCheckpoint(fixturePath('odd.legacy.pt'));
    expect(view.metadata).toEqual({ epoch: '3', rate: '0.0001', note: 'text', big: String(2n ** 70n) });
    await view.close();
  });

  test('values come as float32 whatever their type', async () => {
    const view = await openCheckpoint(fixturePath('odd.zip.pt'));
    const x = await view.read('f16');
    expect([...x.subarray(0, 5)]).toEqual([0, -0, 1.5, -2.25, 65504]);
    expect([...(await view.read('transposed')).subarray(0, 4)]).toEqual([0, 0.75, 1.5, 2.25]);
    expect([...(await view.read('bool'))]).toEqual([1, 0, 1]);
    await view.close();
  });

  test('an archive that was unpacked and compressed again', async () => {
    const source = memorySource(fixture('odd.zip.pt'));
    const zip = await openZip(source);
    const entries = [];
    for (const entry of zip.entries.values()) {
      entries.push({ name: entry.name, data: await zip.read(entry), deflate: true });
    }
    expect(await readAll(makeZip(entries))).toEqual(twinOf('odd.zip.pt'));
  });

  test('a damaged storage is noticed, a checksum that was not recorded is not missed', async () => {
    const bytes = fixture('six.zip.pt');
    const zip = await openZip(memorySource(bytes));
    const entries = [];
    for (const entry of zip.entries.values()) {
      const data = await zip.read(entry);
      entries.push({ name: entry.name, data, crc: 0 });
      if (entry.name.endsWith('/data/3')) bytes[entry.data] ^= 1;
    }
    await expect(readAll(bytes)).rejects.toThrow(/data\/3": damaged/);
    expect(await readAll(makeZip(entries))).toEqual(twinOf('six.zip.pt'));
  });

  test.each([false, true])('views of one storage: checked, deflated %s, read once', async (deflate) => {
    const data = Uint8Array.from({ length: 80 }, (_, i) => i);
    const views = [0, 4, 8].map((offset) => [
      text(`t${offset}`),
      tensor({ count: int(20), offset: int(offset) }),
    ]);
    const main = { name: 'a/data.pkl', data: pickle('}(', ...views.flat(), 'u') };
    const archive = (crc?: number) => makeZip([main, { name: 'a/data/0', data, deflate, crc }]);
    const { source, bytes } = counted(archive());
    const view = await openCheckpointSource(source);
    bytes.read = 0;
    for (const offset of [0, 4, 8]) {
      const { data: values } = await view.readRaw(`t${offset}`);
      expect(Buffer.from(values.buffer, values.byteOffset, 16)).toEqual(
        Buffer.from(data.slice(4 * offset, 4 * offset + 16)),
      );
      values.fill(0 as never); // what was handed out is the reader's own no more
    }
    // Stored: all of it once for its checksum, then each view. Deflated: all of it once.
    expect(bytes.read).toBeLessThanOrEqual(deflate ? 90 : 80 + 3 * 16);
    await expect(readAll(archive(1))).rejects.toThrow(/data\/0": damaged: its checksum does not match/);
    expect(Object.keys(await readAll(archive(0)))).toHaveLength(3);
  });
});

/** A source in memory that counts the bytes it is asked for. */
function counted(archive: Uint8Array) {
  const inner = memorySource(archive, 'x.bin');
  const bytes = { read: 0 };
  const read = (offset: number, length: number) => {
    bytes.read += length;
    return inner.read(offset, length);
  };
  return { source: { ...inner, read }, bytes };
}

describe('writing', () => {
  const formats = Object.entries({ zip: { legacy: false }, legacy: { legacy: true } });
  const twins = [...new Set(Object.values(TWINS))];
  const all = formats.flatMap(([kind, options]) => twins.map((twin) => [kind, twin, options] as const));

  test.each(all)('%s from %s reads back the same', (_, twin, options) =>
    inFolder(async (folder) => {
      const path = join(folder, 'a.pt');
      await writeTorch(path, await sourcesOf(twin), options);
      const name = Object.keys(TWINS).find((key) => TWINS[key] === twin)!;
      expect(await readAll(new Uint8Array(await readFile(path)))).toEqual(twinOf(name));
      expect(await readdir(folder)).toEqual(['a.pt']);
    }),
  );

  test('every entry starts on a multiple of 64 bytes', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'a.pt');
      await writeTorch(path, await sourcesOf('six.safetensors'));
      const zip = await openZip(memorySource(await readFile(path)));
      expect([...zip.entries.values()].filter(({ data }) => data % 64 !== 0)).toEqual([]);
    }));

  test('a name twice is refused, and a type PyTorch lacks', () =>
    inFolder(async (folder) => {
      const tensor = { dtype: 'F32' as const, shape: [1], read: () => new Float32Array(1) };
      const path = join(folder, 'a.pt');
      const twice = ['genA2B', 'genA2B.x'].map((name) => ({ name, ...tensor }));
      await expect(writeTorch(path, twice)).rejects.toThrow('"genA2B.x" is given twice');
      const odd = { ...tensor, name: 'x', dtype: 'U64' as const, read: () => new BigUint64Array(1) };
      await expect(writeTorch(path, [odd])).rejects.toThrow('PyTorch has no element type U64');
    }));

  test('real PyTorch loads all of it: restricted loader, load_state_dict', (context) =>
    inFolder(async (folder) => {
      if (spawnSync(PYTHON, ['-c', 'import torch'], { stdio: 'ignore' }).status !== 0) {
        return context.skip(`no torch in ${PYTHON} (apt-get install python3-torch)`);
      }
      const pairs: string[] = [];
      for (const [kind, twin, options] of all) {
        const path = join(folder, `${kind}.${twin}.pt`);
        await writeTorch(path, await sourcesOf(twin), options);
        pairs.push(path, fixturePath(twin));
      }
      const { stdout, stderr } = spawnSync(PYTHON, ['-B', fixturePath('verify.py'), ...pairs], {
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^(ok \d+\n){8}$/);
    }));
});

/** A file of which only the written pieces are kept; the rest, gigabytes, is zeros. */
function sparseFile() {
  const pieces: { at: number; bytes: Uint8Array }[] = [];
  let position = 0;
  const sink = {
    get position() {
      return position;
    },
    write: async (bytes: Uint8Array) => {
      pieces.push({ at: position, bytes: new Uint8Array(bytes) });
      position += bytes.length;
    },
    patch: async (at: number, bytes: Uint8Array) => {
      pieces.push({ at, bytes: new Uint8Array(bytes) });
    },
  };
  const read = async (offset: number, length: number) => {
    const result = new Uint8Array(length);
    for (const { at, bytes } of pieces) {
      const from = Math.max(offset - at, 0);
      const to = Math.min(offset + length - at, bytes.length);
      if (from < to) result.set(bytes.subarray(from, to), at + from - offset);
    }
    return result;
  };
  const source = (): ByteSource => ({ path: 'sparse', size: position, read, close: async () => {} });
  const skip = (bytes: number) => {
    position += bytes;
  };
  return { sink, source, skip };
}

test('zip64: entries of 5 GiB, and beyond the first 4 GiB', async () => {
  const { sink, source, skip } = sparseFile();
  const zip = zipWriter(sink);
  const huge = 5 * 2 ** 30;
  await zip.add('a/big', huge, async () => skip(huge));
  await zip.add('a/small', 3, async (each) => {
    each(Uint8Array.of(1, 2, 3));
    await sink.write(Uint8Array.of(1, 2, 3));
  });
  await zip.finish();
  const { entries, read } = await openZip(source());
  expect(entries.get('a/big')).toMatchObject({ size: huge, packed: huge, header: 0 });
  expect(entries.get('a/small')!.header).toBeGreaterThan(2 ** 32);
  expect(await read(entries.get('a/small')!)).toEqual(Uint8Array.of(1, 2, 3));
});

test('the checksum in plain JavaScript is the native one', () => {
  const random = seeded(1);
  for (const length of [0, 1, 3, 4, 5, 63, 1000]) {
    const bytes = Uint8Array.from({ length }, () => random() * 256);
    expect(tableCrc32(bytes)).toBe(crc32(bytes));
    expect(tableCrc32(bytes, 0xdeadbeef)).toBe(crc32(bytes, 0xdeadbeef));
  }
  expect(tableCrc32(Buffer.from('123456789'))).toBe(0xcbf43926);
});

test('strided views', () => {
  const x = Float32Array.from({ length: 12 }, (_, i) => i);
  expect([...gather(x, [3, 2], [1, 3])]).toEqual([0, 3, 1, 4, 2, 5]);
  expect([...gather(x, [2, 2, 2], [6, 1, 2])]).toEqual([0, 2, 1, 3, 6, 8, 7, 9]);
  expect([...gather(x, [2, 3], [0, 5])]).toEqual([0, 5, 10, 0, 5, 10]);
  expect(isContiguous([1, 3, 1], [99, 1, 7])).toBe(true);
  expect(isContiguous([2, 3], [1, 2])).toBe(false);
});

test('closing a file that cannot be opened is not forgotten', async () => {
  let closed = 0;
  const source = { ...memorySource(fixture('six.zip.pt').subarray(0, 1000), 'cut.pt') };
  source.close = async () => void closed++;
  await expect(openCheckpointSource(source)).rejects.toThrow('cut.pt: zip: truncated');
  expect(closed).toBe(1);
});
