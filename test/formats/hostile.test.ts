import { describe, expect, test } from 'vitest';
import { CheckpointError } from '../../engine/errors.ts';
import { bytesOf, fixture, makeTorch, makeZip, readAll, type TestEntry, u16, u32 } from './files.ts';
import { file, global, int, one, pickle, type TensorParts, tensor, text } from './pickles.ts';

// Files made by hand to do harm: each must be refused with the right words, quickly.

/** Milliseconds any of them may take; the slowest are bounded by the unpickler's budget. */
const LIMIT_MS = 10_000;

async function refused(bytes: Uint8Array, message: string | RegExp): Promise<void> {
  const start = performance.now();
  const error = await readAll(bytes).then(
    () => new Error('was accepted'),
    (thrown: unknown) => thrown as Error,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/^x\.bin: /);
  expect(error.message.length).toBeLessThan(600);
  expect(performance.now() - start).toBeLessThan(LIMIT_MS);
}

test('the tensor these files are made of is fine as it is', async () => {
  expect(await readAll(file(one(tensor())))).toEqual({ a: `F32 [4] ${'00'.repeat(16)}` });
});

describe('pickles of operations that no state_dict and nothing beside one needs', () => {
  test.each([
    ['INST, of protocol 0', 'ios\nsystem\n', /refused: operation 0x69/],
    ['EXT1, a class of a registry', [0x82, 1], /refused: operation 0x82/],
    ['a textual persistent id', 'Pabc\n', /refused: operation 0x50/],
    ['a buffer from elsewhere', [0x97], /refused: operation 0x97/],
    ['attributes of a tensor', [tensor(), '}b'], /sets attributes of something that can have none/],
    ['a call of a dictionary', '})R', /calls something that is not a function/],
    ['a call of a tensor', [tensor(), ')R'], /calls something that is not a function/],
    ['a class that is a text', [text('os'), ')', 0x81], /calls something that is not a function/],
    ['a module that is no text', [0x4e, text('x'), 0x93], /name is not a string/],
    [
      'a parameter that is a text',
      [global('torch._utils', '_rebuild_parameter'), text('x'), 0x85, 'R'],
      /is not a tensor/,
    ],
    ['an unknown persistent id', ['(', text('x'), 'tQ'], /unknown persistent object/],
  ])('%s', (_, parts, message) => refused(file(pickle(...[parts].flat())), message));
});

describe('pickles that are broken or too big', () => {
  const dict = '}';
  const big = (operation: string, times: number) => operation.repeat(times);
  const itself = Array.from({ length: 300 }, (_, i) => [text(`k${i}`), bytesOf('h', 0), 's']).flat();
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /truncated/],
    ['only STOP', bytesOf('.'), /empty stack/],
    ['protocol 77', bytesOf(0x80, 77, '}.'), /protocol 77/],
    ['an unknown operation', pickle(0xff), /operation 0xff/],
    ['a string longer than the file', pickle('X', u32(0xffffffff), 'abc'), /truncated/],
    ['a string of negative length', pickle('T', u32(0xffffffff), 'abc'), /truncated/],
    ['a string of 2^63 bytes', pickle(0x8d, u32(0), u32(0x80000000), 'abc'), /truncated/],
    ['a name without end', pickle('c', 'x'.repeat(5000)), /has no end/],
    ['an integer longer than the file', pickle(0x8b, u32(0x7fffffff), 1), /truncated/],
    ['an integer of negative length', pickle(0x8b, u32(0xffffffff), 1), /truncated/],
    ['bytes of 2^63', pickle(0x8e, u32(0), u32(0x80000000), 1), /truncated/],
    ['a memo never set', pickle('h', 3), /memo 3 was never set/],
    ['no MARK', pickle('t'), /no MARK/],
    ['pops below a MARK', pickle('K', 1, '(', 0x85), /empty stack/],
    ['an odd number of items', pickle('}(', text('a'), 'u'), /not a dictionary/],
    ['items of a list', pickle(']', text('a'), 'Ns'), /not a dictionary/],
    ['appending to a dictionary', pickle('}Na'), /not a list/],
    ['a key twice', pickle('}', text('a'), 'Ns', text('a'), 'Ns'), /duplicate key "a"/],
    ['a key that is a list', pickle('}]Ns'), /key is a list/],
    [
      'a key of an object twice',
      pickle(global('a', 'B'), ')R', text('a'), 'Ns', text('a'), 'Ns'),
      /duplicate/,
    ],
    ['2 million dictionaries', pickle('(', big(dict, 2e6), 't'), /more than 500000 operations/],
    ['5 million numbers', pickle('(', big('K1', 5e6), 't'), /more than 500000/],
    ['1.5 million memo entries', pickle('}', big('q\x01', 1.5e6)), /more than 500000/],
    ['2 million MARKs', pickle(big('(', 2e6)), /more than 500000/],
    ['33 MiB', pickle(big(dict, 33 * 2 ** 20)), /data\.pkl has \d+ bytes/],
    ['300 keys for the dictionary itself', pickle('}q', 0, ...itself), /more than 1000000 values/],
    ['no dictionary', pickle('N'), /no dictionary/],
    ['a list', pickle('](', tensor(), 'e'), /no dictionary of tensors, but a list/],
    ['a tensor', pickle(tensor()), /no dictionary of tensors, but a single tensor/],
    ['a class', pickle(global('a', 'B')), /no dictionary of tensors, but the name of a class/],
    [
      'two names that read the same',
      pickle('}', text('a.b'), tensor(), 's', text('a'), '}', text('b'), tensor(), 'ss'),
      /duplicate tensor "a\.b"/,
    ],
  ];
  test.each(cases)('%s', (_, bytes, message) => refused(file(bytes), message));

  test('one long list made into a dictionary again and again', () => {
    const pair = (i: number) => bytesOf(int(i), 'N', 0x86);
    const pairs = Array.from({ length: 5000 }, (_, i) => pair(i));
    const again = bytesOf('h', 0, 'h', 1, 0x85, 'R0');
    const bytes = pickle(
      global('collections', 'OrderedDict'),
      'q',
      0,
      '](',
      ...pairs,
      'eq',
      1,
      ...Array(10_000).fill(again),
    );
    return refused(file(bytes), /more than 500000 operations/);
  });
});

describe('tensors that are not there', () => {
  const nan = bytesOf('G', 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
  const long = (...digits: number[]) => bytesOf(0x8a, digits.length, ...digits);
  const cases: [string, TensorParts, RegExp][] = [
    ['a negative size', { shape: int(-1) }, /is -1, not a whole number/],
    ['a size that is NaN', { shape: nan }, /is NaN, not a whole number/],
    ['a size that is text', { shape: text('4') }, /a string, not a whole number/],
    ['a size of 2^70', { shape: long(0, 0, 0, 0, 0, 0, 0, 0, 64) }, /not a whole number/],
    ['more elements than stored', { shape: int(5) }, /leaves its storage of 4/],
    ['an offset beyond the end', { offset: int(1) }, /leaves its storage/],
    ['a negative offset', { offset: int(-1) }, /is -1/],
    ['a negative stride', { strides: int(-1) }, /is -1/],
    ['strides that leave it', { shape: int(3), strides: int(2) }, /leaves its storage/],
    ['a stride too many', { strides: bytesOf(int(1), int(1)) }, /differ in length/],
    ['100 dimensions', { shape: bytesOf(...Array(100).fill(int(1))) }, /100 dimensions/],
    [
      '2^40 elements out of one',
      { shape: long(0, 0, 0, 0, 0, 1), strides: int(0) },
      /expands 4 stored elements/,
    ],
    [
      'sizes whose product is not exact',
      { shape: bytesOf(long(0, 0, 0, 0, 0, 1), long(0, 0, 0, 0, 0, 1)), strides: bytesOf(int(0), int(0)) },
      /expands/,
    ],
    ['a storage bigger than its data', { count: int(5) }, /has 16 bytes, needs 20/],
    ['a storage of another type', { storage: 'DoubleStorage' }, /has 16 bytes, needs 32/],
  ];
  test.each(cases)('%s', (_, parts, message) => refused(file(one(tensor(parts))), message));

  test('one storage of two types', () => {
    const two = one(tensor(), 's', text('b'), tensor({ storage: 'IntStorage' }));
    return refused(file(two), /described in two ways/);
  });

  test('a storage that is missing', () => refused(makeTorch(one(tensor())), /storage "0" is missing/));

  test('another byte order', () => {
    const entries = [
      { name: 'a/data.pkl', data: one(tensor()) },
      { name: 'a/data/0', data: new Uint8Array(16) },
      { name: 'a/byteorder', data: Buffer.from('big') },
    ];
    return refused(makeZip(entries), /byte order "big": only little/);
  });
});

describe('archives', () => {
  const data = { name: 'a/data/0', data: new Uint8Array(16) };
  const main = { name: 'a/data.pkl', data: one(tensor()) };
  const cases: [string, TestEntry[], RegExp][] = [
    [
      'a path upwards',
      [main, data, { name: 'a/../../etc/passwd', data: data.data }],
      /suspicious entry name/,
    ],
    ['an absolute path', [main, data, { name: '/etc/passwd', data: data.data }], /suspicious/],
    ['a Windows path', [main, data, { name: 'C:\\x', data: data.data }], /suspicious/],
    ['an entry twice', [main, data, data], /duplicate entry "a\/data\/0"/],
    ['two names for an entry', [main, { ...data, localName: 'a/data/1' }], /two different names/],
    ['an encrypted entry', [main, { ...data, flags: 1 }], /is encrypted/],
    ['an unknown compression', [main, { ...data, method: 14 }], /compression method 14/],
    ['two sizes', [main, { ...data, packed: 15 }], /two sizes/],
    ['data beyond the end', [main, { ...data, size: 1 << 30, packed: 1 << 30 }], /truncated/],
    ['a header beyond the end', [main, { ...data, header: 0xfffffff0 }], /outside the file/],
    ['overlapping entries', [main, { ...data, header: 0 }], /overlaps|different names/],
    ['a header in the middle of data', [main, { ...data, header: 60 }], /overlaps/],
    [
      'a bomb',
      [main, { ...data, data: new Uint8Array(2 ** 26), deflate: true, size: 16 }],
      /bigger than it says/,
    ],
    [
      'a bomb that says its size',
      [
        { ...main, data: one(tensor({ count: int(2 ** 28) })) },
        { ...data, deflate: true, size: 2 ** 30 },
      ],
      /compressed and 1073741824 bytes big/,
    ],
    ['inflates to less', [main, { ...data, deflate: true, size: 99 }], /inflated|needs 16/],
    ['two pickles', [main, data, { ...main, name: 'b/data.pkl' }], /not one that torch\.save wrote/],
    ['no pickle', [data], /not one that torch\.save wrote/],
    ['a checkpoint packed', [{ ...data, name: 'ck/a.pt' }], /with "ck\/a\.pt" in it: unpack it first/],
    [
      'packed checkpoints, by a method that is not read, and what macOS adds',
      [
        { ...data, name: '__MACOSX/ck/._b.pth' },
        { ...data, name: 'ck/b.pth', method: 14 },
        { ...data, name: 'ck/c.safetensors', deflate: true, size: 2 ** 30 },
      ],
      /with "ck\/b\.pth" and 1 more in it: unpack it first/,
    ],
    ['TorchScript', [main, data, { name: 'a/constants.pkl', data: data.data }], /TorchScript/],
  ];
  test.each(cases)('%s', (_, entries, message) => refused(makeZip(entries), message));

  test('more entries than it has room for', () => {
    const zip = makeZip([main, data]);
    zip.set(u16(9), zip.length - 12);
    return refused(zip, /cut short/);
  });
});

describe('legacy files', () => {
  const magic = bytesOf(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.');
  const system = (little: number) => pickle('}', text('little_endian'), little, 's');
  const legacy = (keys: Uint8Array, tail: Uint8Array, little = 0x88, protocol = 1001) =>
    bytesOf(magic, pickle(int(protocol)), system(little), one(tensor()), keys, tail);
  const keys = pickle(']', text('0'), 'a');
  const storage = bytesOf(u32(4), u32(0), new Uint8Array(16));

  test('this one is fine', async () => {
    expect(Object.keys(await readAll(legacy(keys, storage)))).toEqual(['a']);
  });

  test.each([
    ['big-endian', legacy(keys, storage, 0x89), /big-endian/],
    ['another protocol', legacy(keys, storage, 0x88, 5), /protocol 5/],
    ['a storage cut short', legacy(keys, storage.subarray(0, 20)), /truncated/],
    [
      'a storage of another size',
      legacy(keys, bytesOf(u32(5), u32(0), new Uint8Array(20))),
      /has 5 elements/,
    ],
    ['a storage of 2^60', legacy(keys, bytesOf(u32(0), u32(1 << 28))), /elements, needs 4/],
    ['no storage', legacy(pickle(']'), storage), /is missing/],
    ['a storage twice', legacy(pickle('](', text('0'), text('0'), 'e'), storage), /listed twice/],
    ['an unknown storage', legacy(pickle(']', text('1'), 'a'), storage), /of no type that is read/],
    ['keys that are no list', legacy(pickle('}'), storage), /where a tuple belongs/],
    ['nothing after the magic number', magic, /truncated/],
  ])('%s', (_, bytes, message) => refused(bytes, message));
});

test('a plain pickle is told apart', () =>
  refused(bytesOf(pickle('}'), fixture('odd.safetensors')), /plain Python pickle/));
