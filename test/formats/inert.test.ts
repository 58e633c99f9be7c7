import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint, openCheckpointSource } from '../../train/formats/checkpoint.ts';
import { memorySource } from '../../train/formats/file.node.ts';
import { bytesOf, fixturePath, makeTorch, readAll, u32 } from './files.ts';
import { besideTensor, file, global, type Operations, one, pickle, tensor, text } from './pickles.ts';

// Objects of classes that are not known here: they are names and data, nothing is done with them, they cost
// little, and the tensors beside them are whole.

const ZEROS = `F32 [4] ${'00'.repeat(16)}`;

async function objectsIn(bytes: Uint8Array): Promise<Record<string, string>> {
  const view = await openCheckpointSource(memorySource(bytes, 'x.bin'));
  await view.close();
  return Object.fromEntries(view.objects);
}

describe('what real Python writes beside tensors', () => {
  test.each(['zip', 'protocol4', 'legacy'])('%s: named, not read', async (kind) => {
    const view = await openCheckpoint(fixturePath(`beside.${kind}.pt`));
    await view.close();
    expect(Object.fromEntries(view.objects)).toMatchObject({
      args: 'argparse.Namespace',
      milestones: 'collections.Counter',
      array: 'numpy.core.multiarray._reconstruct',
      when: 'datetime.datetime',
      where: 'pathlib.PurePosixPath',
      device: 'torch.device',
      huge: 'int',
    });
    expect(view.metadata).toMatchObject({ 'settings.depth': '3', 'optimiser.state.0.step': '5' });
  });

  test('a whole model is said to be one, and what to do', async () => {
    const path = fixturePath('model.pt');
    await expect(openCheckpoint(path)).rejects.toThrow(
      `${path}: holds a whole model of the class __main__.Block, which only its own Python code can open: ` +
        'there, save model.state_dict() instead',
    );
  });
});

/** Arguments with which the worst of the functions below would do harm. */
const MARK = join(tmpdir(), `adawn-inert-${process.pid}`);
const ARGUMENTS = bytesOf(text(`touch ${MARK}`), 0x85);

const DANGEROUS: [string, string][] = [
  ['os', 'system'],
  ['posix', 'system'],
  ['nt', 'system'],
  ['subprocess', 'Popen'],
  ['builtins', 'eval'],
  ['__builtin__', 'exec'],
  ['builtins', 'getattr'],
  ['operator', 'attrgetter'],
  ['functools', 'partial'],
  ['importlib', 'import_module'],
  ['torch', 'load'],
  ['torch.hub', 'load'],
  ['torch.storage', '_load_from_bytes'],
  ['torch.jit._script', 'RecursiveScriptModule'],
  ['torch.nn.modules.conv', 'Conv2d'],
  ['torch._utils', '_rebuild_device_tensor_from_numpy'],
  ['numpy.core.multiarray', '_reconstruct'],
  ['collections', 'OrderedDict.__init__'],
  ['', 'constructor'],
  ['__proto__', 'toString'],
  ['process', 'exit'],
];

describe('functions and classes that would do harm', () => {
  test.each(DANGEROUS)('%s.%s', async (module, name) => {
    const called = global(module, name);
    const onStack = bytesOf(0x8c, module.length, module, 0x8c, name.length, name, 0x93);
    const forms: Operations[][] = [
      [called],
      [called, ARGUMENTS, 'R'],
      [onStack, ARGUMENTS, 'R'],
      [called, ARGUMENTS, 0x81],
      [called, ARGUMENTS, '}', 0x92],
      ['(', called, text('x'), 'o'],
      [called, ARGUMENTS, 'R', '}', text('__class__'), called, 'sb'],
      [called, ARGUMENTS, 'R', text('state'), 'b'],
      [called, ')R', text('k'), ARGUMENTS, 's', text('i'), 'a', '(', text('j'), 0x90],
      [called, ARGUMENTS, 'R', ARGUMENTS, 'R', ')R'],
      [called, called, ARGUMENTS, 'R', 0x85, 'R'],
    ];
    for (const [i, form] of forms.entries()) {
      expect(await readAll(file(besideTensor(...form))), `form ${i}`).toMatchObject({ a: ZEROS });
    }
    expect(await objectsIn(file(besideTensor(called, ARGUMENTS, 'R')))).toEqual({ b: `${module}.${name}` });
    expect(existsSync(MARK)).toBe(false);
  });

  test('names of the prototype as keys change nothing', async () => {
    const keys = ['__proto__', 'constructor', 'toString'].map((key) => [text(key), text('x'), 's']);
    const bytes = pickle('}', ...keys.flat(), text('a'), tensor(), 's');
    expect(await readAll(file(bytes))).toEqual({ a: ZEROS });
    expect({}.toString()).toBe('[object Object]');
  });
});

describe('tensors that are not plain ones', () => {
  const qint = tensor({ storage: 'QInt8Storage' });
  const rebuild = (name: string, ...args: Operations[]) =>
    bytesOf(global('torch._utils', name), '(', ...args, 'tR');
  const fromType = (...args: Operations[]) =>
    bytesOf(global('torch._tensor', '_rebuild_from_type_v2'), '(', ...args, global('a', 'T'), ')}tR');

  test.each([
    ['of a storage type that is not read', qint, 'tensor of torch.QInt8Storage'],
    ['a parameter of one', rebuild('_rebuild_parameter', qint, 0x88, 'N'), 'tensor of torch.QInt8Storage'],
    ['a quantised one', rebuild('_rebuild_qtensor', text('x')), 'torch._utils._rebuild_qtensor'],
    ['rebuilt by an unknown function', fromType(global('os', 'system')), 'os.system'],
  ])('%s', async (_, parts, what) => {
    expect(await objectsIn(file(besideTensor(parts)))).toEqual({ b: what });
    expect(await readAll(file(besideTensor(parts)))).toEqual({ a: ZEROS });
  });

  test('a parameter with attributes is its tensor', async () => {
    const bytes = one(rebuild('_rebuild_parameter_with_state', tensor(), 0x88, 'N}'));
    expect(await readAll(file(bytes))).toEqual({ a: ZEROS });
  });

  test('in a legacy file, where nothing after such a storage could be found', async () => {
    const magic = bytesOf(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.');
    const system = pickle('}', text('little_endian'), 0x88, 's');
    const head = bytesOf(magic, pickle('M', 233, 3), system, one(qint), pickle(']', text('0'), 'a'));
    await expect(readAll(bytesOf(head, new Uint8Array(12)))).rejects.toThrow(
      /"0" is .* of no type that is read/,
    );
  });
});

describe('dictionaries that nest without end', () => {
  /** 2^60 leaves behind 60 dictionaries, each holding the one before twice. */
  const laughs = Array.from({ length: 60 }, (_, i) => [
    bytesOf('}', 'q', i + 1),
    ...['l', 'r'].flatMap((key) => [text(key), bytesOf('h', i), 's']),
  ]).flat();

  test.each([
    ['60 that unfold to 2^60', bytesOf('(}q', 0, ...laughs, 't0h', 60)],
    ['one within itself', bytesOf('}q', 0, text('b'), 'h', 0, 's')],
    ['an object within itself', bytesOf(global('a', 'B'), ')Rq', 0, text('b'), 'h', 0, 'sh', 0, 'b')],
    ['100000 of them', bytesOf('}X\x01\0\0\0a'.repeat(1e5), 'N', 's'.repeat(1e5))],
  ])('%s: looked into as far as state_dicts go', async (_, parts) => {
    expect(await readAll(file(besideTensor(parts)))).toEqual({ a: ZEROS });
  });
});

describe('objects that are made to be many, deep or big', () => {
  const system = bytesOf(global('os', 'system'), 'q', 1, '0');
  const times = (count: number, ...parts: Operations[]) => {
    const unit = bytesOf(...parts);
    return Buffer.alloc(unit.length * count, unit);
  };
  const longName = bytesOf(text('m'.repeat(8e6)), 'q', 2, '0', text('n'.repeat(8e6)), 'q', 3, '0');
  const cases: [string, Uint8Array][] = [
    ['calls of calls', bytesOf(system, 'h', 1, times(240_000, ')R'))],
    ['arguments within arguments', bytesOf(system, times(100_000, 'h', 1), 'N', times(100_000, 0x85, 'R'))],
    ['states within states', bytesOf(system, times(90_000, 'h', 1, ')R'), 'N', times(90_000, 'b'))],
    ['120000 objects in a list', bytesOf(system, ']', times(120_000, 'h', 1, ')Ra'))],
    ['a set of 240000 texts', bytesOf(0x8f, '(', times(240_000, text('x')), 0x90)],
    ['a set within 100000 sets', bytesOf(times(100_000, '('), 'N', times(100_000, 0x91))],
    ['memo entries of the highest numbers', bytesOf('N', ...[...Array(50_000).keys()].map(highest))],
    [
      '60000 objects of a class whose name has 16 MB',
      bytesOf(longName, '(', times(60_000, 'h', 2, 'h', 3, 0x93, ')R'), 't'),
    ],
    ['an integer of 8 MB', bytesOf(0x8b, u32(8e6), new Uint8Array(8e6))],
    ['tensors rebuilt from tensors rebuilt', nestedRebuild(90_000)],
  ];

  test.each(cases)('%s', { timeout: 20_000 }, async (_, parts) => {
    const bytes = file(besideTensor(parts));
    const heap = process.memoryUsage().heapUsed;
    const start = performance.now();
    expect(await readAll(bytes)).toEqual({ a: ZEROS });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(256 * 2 ** 20);
  });

  /** LONG_BINPUT of an index just below 2^32. */
  function highest(i: number): Uint8Array {
    return bytesOf('r', u32(0xffffffff - i));
  }

  /** _rebuild_from_type_v2 with itself as the function, around arguments for itself, and so on. */
  function nestedRebuild(depth: number): Uint8Array {
    const rebuild = bytesOf(global('torch._tensor', '_rebuild_from_type_v2'), 'q', 4);
    return bytesOf(rebuild, times(depth, '(', 'h', 4, 'N'), 'N', times(depth, 't'), 'R');
  }
});

test('every loss of a long run, as a list and by its step', async () => {
  const loss = bytesOf('G', 0x3f, 0xf0, 0, 0, 0, 0, 0, 0);
  const list = bytesOf('](', Buffer.alloc(600_000 * loss.length, loss), 'e');
  const bySteps = Buffer.concat(Array.from({ length: 120_000 }, (_, i) => bytesOf('J', u32(i), loss)));
  const bytes = pickle('}', text('a'), tensor(), 's', text('l'), list, 's', text('d'), '}(', bySteps, 'us');
  const start = performance.now();
  expect(await readAll(file(bytes))).toEqual({ a: ZEROS });
  expect(performance.now() - start).toBeLessThan(5000);
});

test('many storages of types that are not read', async () => {
  const all = Array.from({ length: 3000 }, (_, i) => [
    text(`t${i}`),
    tensor({ storage: 'QInt8Storage', key: `k${i}` }),
    's',
  ]);
  const bytes = makeTorch(pickle('}', ...all.flat()));
  expect(await readAll(bytes)).toEqual({});
});
