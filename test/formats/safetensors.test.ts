import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointError } from '../../engine/errors.ts';
import { openSource, writeAtomically } from '../../train/formats/file.node.ts';
import {
  type DType,
  fromBytes,
  type HostTensor,
  itemSize,
  toFloat32,
} from '../../train/formats/hostTensor.ts';
import { openSafetensors, writeSafetensors } from '../../train/formats/safetensors.node.ts';
import { parseSafetensors, serializeSafetensors } from '../../train/formats/safetensors.ts';
import { bits, bytesOf, fixture, inFolder, u32 } from './files.ts';

const DTYPES: DType[] = 'F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL'.split(' ') as DType[];

function sample(): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const dtype of [...DTYPES].reverse()) {
    const bytes = Uint8Array.from(
      { length: 3 * itemSize(dtype) },
      (_, i) => (i * 41) & (dtype === 'BOOL' ? 1 : 63),
    );
    tensors.set(`${dtype}.größe`, { shape: [3, 1], dtype, data: fromBytes(dtype, bytes) });
  }
  tensors.set('scalar', { shape: [], dtype: 'F32', data: Float32Array.of(2.5) });
  tensors.set('empty', { shape: [0, 7], dtype: 'F32', data: new Float32Array(0) });
  return tensors;
}

/** A file with the given header text over `dataBytes` zeros. */
function withHeader(header: unknown, dataBytes: number): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return bytesOf(u32(json.length), u32(0), json, new Uint8Array(dataBytes));
}

const F = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('safetensors in memory', () => {
  test('gives back what was put in, bit by bit, every type aligned in the file', () => {
    const file = serializeSafetensors(sample(), { step: '7', note: 'ä"\n' });
    const back = parseSafetensors(file);
    expect(back.metadata).toEqual({ step: '7', note: 'ä"\n' });
    expect(bits(back.tensors)).toEqual(bits(sample()));
    for (const { dtype, data } of back.tensors.values()) {
      expect((data.byteOffset - file.byteOffset) % itemSize(dtype)).toBe(0);
    }
  });

  test('reads from bytes at any address', () => {
    const file = serializeSafetensors(sample());
    const shifted = bytesOf(1, file).subarray(1);
    expect(bits(parseSafetensors(shifted).tensors)).toEqual(bits(sample()));
  });

  test('refuses tensors whose data does not fit their shape, and a name twice', () => {
    const wrong: HostTensor = { shape: [2], dtype: 'F32', data: new Float32Array(3) };
    expect(() => serializeSafetensors([['a', wrong]])).toThrow('"a": 12 bytes, needs 8');
    expect(() => serializeSafetensors([['a', { ...wrong, shape: [-1] }]])).toThrow(CheckpointError);
    const right = { ...wrong, shape: [3] };
    expect(() =>
      serializeSafetensors([
        ['a', right],
        ['a', right],
      ]),
    ).toThrow('duplicate name "a"');
  });

  const refused: [string, Uint8Array, string][] = [
    ['no header', new Uint8Array(5), 'only 5 bytes'],
    ['a header longer than the file', bytesOf(u32(100), u32(0), '{}'), 'truncated'],
    ['a header of 2^60 bytes', bytesOf(u32(0), u32(1 << 28), '{}'), 'header length'],
    ['broken JSON', withHeader('{"a":', 0), 'not valid JSON'],
    ['an open string', withHeader('{"a', 0), 'open string'],
    ['bytes that are not UTF-8', bytesOf(u32(4), u32(0), '{"', 0xff, '"'), 'not valid JSON'],
    ['a list', withHeader('[]', 0), 'not a JSON object'],
    ['deep nesting', withHeader(`{"a":${'['.repeat(1e6)}`, 0), 'nested too deeply'],
    [
      'a name twice',
      withHeader('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}, "\\u0061" :1}', 4),
      'duplicate',
    ],
    ['an unknown type', withHeader({ a: F(0, 4, [4], 'F8_E4M3') }, 4), 'unsupported dtype "F8_E4M3"'],
    ['a type from the prototype', withHeader({ a: F(0, 4, [4], 'toString') }, 4), 'unsupported dtype'],
    ['a negative size', withHeader({ a: F(0, 4, [-1]) }, 4), 'whole numbers'],
    ['a size that is not a number', withHeader({ a: F(0, 4, ['1']) }, 4), 'whole numbers'],
    ['a fractional size', withHeader({ a: F(0, 4, [1.5]) }, 4), 'whole numbers'],
    ['sizes beyond 2^53', withHeader({ a: F(0, 4, [2 ** 40, 2 ** 40]) }, 4), 'needs NaN bytes'],
    [
      'a shape that needs other bytes',
      withHeader({ a: F(0, 8, [3]) }, 8),
      'needs 12 bytes, data_offsets give 8',
    ],
    ['offsets backwards', withHeader({ a: F(4, 0, [1]) }, 4), 'data_offsets give -4'],
    ['overlapping tensors', withHeader({ a: F(0, 8), b: F(4, 12) }, 12), 'overlaps'],
    ['a hole', withHeader({ a: F(0, 4), b: F(8, 12) }, 12), 'hole'],
    ['offsets outside', withHeader({ a: F(0, 4), b: F(4, 12) }, 8), 'truncated'],
    ['bytes left over', withHeader({ a: F(0, 4) }, 8), 'take 4 bytes, the file has 8'],
    ['metadata that is not text', withHeader({ __metadata__: { a: 1 } }, 0), '__metadata__'],
  ];
  test.each(refused)('refuses %s', (_, bytes, message) => {
    expect(() => parseSafetensors(bytes)).toThrow(CheckpointError);
    expect(() => parseSafetensors(bytes)).toThrow(message);
  });
});

describe('toFloat32', () => {
  /** The value of a half by the formula of IEEE 754. */
  function half(h: number): number {
    const fraction = (h & 1023) / 1024;
    const exponent = (h >> 10) & 31;
    const sign = h & 0x8000 ? -1 : 1;
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
  }

  test('every half is exact', () => {
    const data = Uint16Array.from({ length: 65536 }, (_, i) => i);
    expect(toFloat32({ dtype: 'F16', data })).toEqual(Float32Array.from(data, half));
  });

  test('bfloat16, doubles, integers and booleans', () => {
    const bfloat = Uint16Array.of(0x3fc0, 0xff80, 0x8000, 0x0001);
    const values = [1.5, Number.NEGATIVE_INFINITY, -0, 2 ** -133];
    expect(toFloat32({ dtype: 'BF16', data: bfloat })).toEqual(Float32Array.from(values));
    expect(toFloat32({ dtype: 'F64', data: Float64Array.of(1 / 3) })).toEqual(Float32Array.of(1 / 3));
    expect(toFloat32({ dtype: 'I64', data: BigInt64Array.of(-3n) })).toEqual(Float32Array.of(-3));
    expect(toFloat32({ dtype: 'BOOL', data: Uint8Array.of(1, 0) })).toEqual(Float32Array.of(1, 0));
  });
});

describe('safetensors files', () => {
  test('are streamed: tensors asked for one at a time, in pieces too', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'a.safetensors');
      let open = 0;
      const sources = [...sample()].map(([name, { dtype, shape, data }]) => ({
        name,
        dtype,
        shape,
        read: async function* () {
          expect(++open).toBe(1);
          const middle = data.length >> 1;
          yield data.subarray(0, middle);
          yield data.subarray(middle);
          open--;
        },
      }));
      await writeSafetensors(path, sources, { a: 'b' });
      expect(new Uint8Array(await readFile(path))).toEqual(serializeSafetensors(sample(), { a: 'b' }));
      const file = await openSafetensors(path);
      expect(file.metadata).toEqual({ a: 'b' });
      expect([...file.tensors.keys()].sort()).toEqual([...sample().keys()].sort());
      expect((await file.read('F64.größe')).data).toEqual(sample().get('F64.größe')!.data);
      await expect(file.read('nope')).rejects.toThrow('has no tensor "nope"');
      await file.close();
    }));

  test.each([
    ['too little', () => new Float32Array(1), 'needs 8 bytes, was given 4'],
    ['too much', () => new Float32Array(3), 'needs 8 bytes, was given more'],
    ['nothing: it fails', () => Promise.reject(new Error('lost device')), 'lost device'],
  ])('leave nothing behind when a tensor gives %s', (_, read, message) =>
    inFolder(async (folder) => {
      const path = join(folder, 'a.safetensors');
      await writeFile(path, 'before');
      const tensor = { name: 'a', dtype: 'F32' as const, shape: [2], read };
      await expect(writeSafetensors(path, [tensor])).rejects.toThrow(message);
      expect(await readdir(folder)).toEqual(['a.safetensors']);
      expect(await readFile(path, 'utf8')).toBe('before');
    }),
  );

  test('a full disk is a clear error and leaves the old file', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'a.pt');
      await writeFile(path, 'before');
      const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      });
      const work = writeAtomically(path, async (to) => {
        await to.write(Buffer.from('half a file'));
        throw full;
      });
      await expect(work).rejects.toThrow(
        new CheckpointError(`cannot write ${path}: no space left on the device`),
      );
      expect(await readdir(folder)).toEqual(['a.pt']);
      expect(await readFile(path, 'utf8')).toBe('before');
    }));

  test('missing files, folders and unwritable places are CheckpointErrors', () =>
    inFolder(async (folder) => {
      await expect(openSource(join(folder, 'no'))).rejects.toThrow(/no: no such file/);
      await expect(openSource(folder)).rejects.toThrow(/not a regular file/);
      await expect(writeSafetensors(join(folder, 'no/a'), [])).rejects.toThrow(CheckpointError);
      expect(existsSync(join(folder, 'no'))).toBe(false);
    }));

  test('a damaged file is named', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'cut.safetensors');
      await writeFile(path, fixture('six.safetensors').subarray(0, -1));
      await expect(openSafetensors(path)).rejects.toThrow(`${path}: safetensors: truncated`);
    }));
});
