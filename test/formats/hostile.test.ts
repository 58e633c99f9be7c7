import { describe, expect, test } from 'vitest';
import { CheckpointError } from '../../engine/errors.ts';
import { bytesOf, fixture, makeTorch, makeZip, readAll, type TestEntry, u16, u32 } from './files.ts';

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

const text = (value: string) => bytesOf('X', u32(value.length), value);
const int = (value: number) => bytesOf('J', u32(value));
const global = (module: string, name: string) => `c${module}\n${name}\n`;
const pickle = (...parts: (number | string | Uint8Array)[]) => bytesOf(0x80, 2, ...parts, '.');

interface TensorParts {
  storage?: string;
  count?: Uint8Array;
  offset?: Uint8Array;
  shape?: Uint8Array;
  strides?: Uint8Array;
}

/** Operations that build a tensor; by default of 4 floats in storage "0". */
function tensor({ storage = 'FloatStorage', count, offset, shape, strides }: TensorParts = {}): Uint8Array {
  const pid = bytesOf(
    '(',
    text('storage'),
    global('torch', storage),
    text('0'),
    text('cpu'),
    count ?? int(4),
    'tQ',
  );
  const tail = bytesOf(offset ?? int(0), '(', shape ?? int(4), 't(', strides ?? int(1), 't', 0x89, 'Nt');
  return bytesOf(global('torch._utils', '_rebuild_tensor_v2'), '(', pid, tail, 'R');
}

const one = (...value: (number | string | Uint8Array)[]) => pickle('}', text('a'), ...value, 's');
const file = (bytes: Uint8Array) => makeTorch(bytes, { 0: new Uint8Array(16) });

test('the tensor these files are made of is fine as it is', async () => {
  expect(await readAll(file(one(tensor())))).toEqual({ a: `F32 [4] ${'00'.repeat(16)}` });
});

describe('pickles that want to run something', () => {
  test.each([
    ['os', 'system'],
    ['builtins', 'eval'],
    ['__builtin__', 'exec'],
    ['torch', 'load'],
    ['torch.nn.modules.conv', 'Conv2d'],
    ['numpy.core.multiarray', '_reconstruct'],
    ['collections', 'OrderedDict.__init__'],
    ['', 'constructor'],
    ['torch._utils', '_rebuild_device_tensor_from_numpy'],
  ])('%s.%s', async (module, name) => {
    await refused(file(pickle(global(module, name), text('x'), 0x85, 'R')), 'refused: the file asks for "');
    const stackGlobal = bytesOf(0x8c, module.length, module, 0x8c, name.length, name, 0x93);
    await refused(file(pickle(stackGlobal, ')R')), `"${module}.${name}"`);
  });

  test.each([
    ['INST', 'ios\nsystem\n', /refused: operation 0x69/],
    ['OBJ', '(o', /refused: operation 0x6f/],
    ['NEWOBJ', [global('collections', 'OrderedDict'), ')', 0x81], /refused: operation 0x81/],
    ['EXT1', [0x82, 1], /refused: operation 0x82/],
    ['a textual persistent id', 'Pabc\n', /refused: operation 0x50/],
    ['attributes of a tensor', [tensor(), '}b'], /sets attributes of an object/],
    ['a call of a dictionary', '})R', /calls something that is not a function/],
    ['a call of a storage class', [global('torch', 'FloatStorage'), ')R'], /not a function/],
    ['a whole module', ['(', text('module'), 'NNNtQ'], /save its state_dict/],
    ['an unknown persistent id', ['(', text('x'), 'tQ'], /unknown persistent object/],
  ])('%s', (_, parts, message) => refused(file(pickle(...[parts].flat())), message));
});

describe('pickles that are broken or too big', () => {
  const dict = '}';
  const big = (operation: string, times: number) => operation.repeat(times);
  /** 2^60 leaves behind 60 dictionaries, each holding the one before twice. */
  const laughs = Array.from({ length: 60 }, (_, i) => [
    bytesOf('}', 'q', i + 1),
    ...['l', 'r'].flatMap((key) => [text(key), bytesOf('h', i), 's']),
  ]).flat();
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /truncated/],
    ['only STOP', bytesOf('.'), /empty stack/],
    ['protocol 77', bytesOf(0x80, 77, '}.'), /protocol 77/],
    ['an unknown operation', pickle(0xff), /operation 0xff/],
    ['a string longer than the file', pickle('X', u32(0xffffffff), 'abc'), /truncated/],
    ['a string of negative length', pickle('T', u32(0xffffffff), 'abc'), /truncated/],
    ['a string of 2^63 bytes', pickle(0x8d, u32(0), u32(0x80000000), 'abc'), /truncated/],
    ['a name without end', pickle('c', 'x'.repeat(5000)), /has no end/],
    ['a huge integer', pickle(0x8a, 255, new Uint8Array(255)), /integer of 255 bytes/],
    ['a memo never set', pickle('h', 3), /memo 3 was never set/],
    ['no MARK', pickle('t'), /no MARK/],
    ['pops below a MARK', pickle('K', 1, '(', 0x85), /empty stack/],
    ['an odd number of items', pickle('}(', text('a'), 'u'), /not a dictionary/],
    ['items of a list', pickle(']', text('a'), 'Ns'), /not a dictionary/],
    ['appending to a dictionary', pickle('}Na'), /not a list/],
    ['a key twice', pickle('}', text('a'), 'Ns', text('a'), 'Ns'), /duplicate key "a"/],
    ['a key that is a list', pickle('}]Ns'), /neither a string nor a number/],
    ['2 million dictionaries', pickle('(', big(dict, 2e6), 't'), /more than 500000 operations/],
    ['1.5 million memo entries', pickle('}', big('q\x01', 1.5e6)), /more than 500000/],
    ['2 million MARKs', pickle(big('(', 2e6)), /more than 500000/],
    ['33 MiB', pickle(big(dict, 33 * 2 ** 20)), /data\.pkl has \d+ bytes/],
    ['60 dictionaries that unfold to 2^60', pickle('}q', 0, ...laughs), /nested more than 8 deep/],
    ['a dictionary within itself', pickle('}q', 0, text('a'), 'h', 0, 's'), /nested more than 8 deep/],
    ['nesting of 100000', pickle(big(`}X\x01\0\0\0a`, 1e5), 'N', big('s', 1e5)), /nested more than 8 deep/],
    ['no dictionary', pickle('N'), /no dictionary/],
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
    ['an unknown storage type', { storage: 'QInt8Storage' }, /refused: .*torch\.QInt8Storage/],
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
    ['two sizes', [main, { ...data, size: 15 }], /two sizes/],
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
      [main, { ...data, deflate: true, size: 2 ** 30 }],
      /compressed and 1073741824 bytes big/,
    ],
    ['inflates to less', [main, { ...data, deflate: true, size: 99 }], /inflated|needs 16/],
    ['two pickles', [main, data, { ...main, name: 'b/data.pkl' }], /not one that torch\.save wrote/],
    ['no pickle', [data], /not one that torch\.save wrote/],
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
    ['an unknown storage', legacy(pickle(']', text('1'), 'a'), storage), /unknown/],
    ['keys that are no list', legacy(pickle('}'), storage), /where a tuple belongs/],
    ['nothing after the magic number', magic, /truncated/],
  ])('%s', (_, bytes, message) => refused(bytes, message));
});

test('a plain pickle is told apart', () =>
  refused(bytesOf(pickle('}'), fixture('odd.safetensors')), /plain Python pickle/));
