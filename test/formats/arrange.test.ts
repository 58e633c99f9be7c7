import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openCheckpoint, openCheckpointSource } from '../../train/formats/checkpoint.ts';
import { convert } from '../../train/formats/convert.ts';
import { memorySource } from '../../train/formats/file.node.ts';
import type { HostTensor } from '../../train/formats/hostTensor.ts';
import { matchTensors } from '../../train/formats/match.ts';
import { splitName } from '../../train/formats/names.ts';
import { parseSafetensors, serializeSafetensors } from '../../train/formats/safetensors.ts';
import { writeTorch } from '../../train/formats/torch/write.ts';
import type { CheckpointView } from '../../train/formats/view.ts';
import { generatorOptions } from '../../train/weights.ts';
import { bits, contents, fixture, inFolder } from './files.ts';

// Networks under the names and keys that people give them.

const SIX = parseSafetensors(fixture('six.safetensors')).tensors;
const GENERATOR = new Map(
  [...SIX].flatMap(([name, t]) => (name.startsWith('genA2B.') ? [[name.slice('genA2B.'.length), t]] : [])),
);

type Tensors = Map<string, HostTensor>;
type Rename = (name: string) => string;

const renamed = (tensors: Tensors, rename: Rename): Tensors =>
  new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));
const below = (key: string, tensors: Tensors) => renamed(tensors, (name) => `${key}.${name}`);
const both = (...all: Tensors[]): Tensors => new Map(all.flatMap((tensors) => [...tensors]));

/** A view of a safetensors file with these tensors. */
const viewOf = (tensors: Tensors, key?: string): Promise<CheckpointView> =>
  openCheckpointSource(memorySource(serializeSafetensors(tensors), 'x.bin'), { key });

/** The same as a .pt file on the disk. */
async function writePt(path: string, tensors: Tensors): Promise<void> {
  const list = [...tensors].map(([name, tensor]) => ({ name, ...tensor, read: () => tensor.data }));
  await writeTorch(path, list);
}

const shapes = (tensors: Tensors) => new Map([...tensors].map(([name, { shape }]) => [name, shape]));

/** The error of matching, or of reading settings off, what a view has. */
function refusal(view: CheckpointView, tensors: Tensors): string {
  try {
    matchTensors(shapes(tensors), view);
    return 'matched';
  } catch (error) {
    return (error as Error).message;
  }
}

const within = (part: string): Rename => {
  return (name) => name.replace(/^(\w+)\./, `$1.${part}.`);
};

describe('found, in .pt and .safetensors alike', () => {
  const six: [string, Rename][] = [
    ['under the names of the authors', (name) => name],
    ['module. in front (DataParallel)', (name) => `module.${name}`],
    ['module. in each network', within('module')],
    ['_orig_mod. in each network (torch.compile)', within('_orig_mod')],
    ['both wrappers', within('module._orig_mod')],
    ['a wrapper round a part', (name) => name.replace(/\.(DownBlock|model|FC)\./, '.$1._orig_mod.')],
    ['below state_dict', (name) => `state_dict.${name}`],
    ['below state, which means something else in our files', (name) => `state.${name}`],
    ['below keys that nobody foresaw', (name) => `my.own_keys.${name}`],
    ['a state_dict in each network', within('state_dict')],
    ['a key with more than the name', (name) => name.replace(/^(\w+)\./, '$1_state_dict.')],
    ['all of it', (name) => `model.${name.replace(/^(\w+)\./, 'net_$1.params.module.')}`],
  ];

  test.each(six)('six networks: %s', async (_, rename) => {
    const view = await viewOf(renamed(SIX, rename));
    expect(await contents(view)).toEqual(bits(SIX));
    expect([...view.extras]).toEqual([]);
    await inFolder(async (folder) => {
      await writePt(join(folder, 'x.pt'), renamed(SIX, rename));
      const pt = await openCheckpoint(join(folder, 'x.pt'));
      expect(await contents(pt)).toEqual(bits(SIX));
      await pt.close();
    });
  });

  test.each(['state_dict', 'model', 'generator', 'params', 'params_ema', 'module', 'a.b.c'])(
    'one network: below %s',
    async (key) => {
      const view = await viewOf(below(key, GENERATOR));
      expect(await contents(view)).toEqual(bits(GENERATOR));
      expect(refusal(view, below('genB2A', GENERATOR))).toBe('matched');
    },
  );

  test('the tensors of others keep their names', async () => {
    const counters = new Map([['optimizer.state.0.exp_avg', GENERATOR.get('gap_fc.weight')!]]);
    const view = await viewOf(both(below('g', GENERATOR), counters));
    expect([...view.extras]).toEqual(['optimizer.state.0.exp_avg']);
    expect(refusal(view, GENERATOR)).toBe('matched');
  });

  test('an unnamed generator among unnamed discriminators', async () => {
    const judge = new Map([...SIX].filter(([name]) => name.startsWith('disGA.')));
    const view = await viewOf(
      both(
        below('G', GENERATOR),
        renamed(judge, (name) => name.replace('GA', '')),
      ),
    );
    expect(refusal(view, GENERATOR)).toBe('matched');
    expect([...view.extras]).toEqual([]);
    expect(view.names()).toContain('dis.model.1.weight_orig');
  });

  test('networks beside those that are whole: what they lack is said', async () => {
    const broken = new Map([...SIX].filter(([name]) => name !== 'disLA.model.1.weight_orig'));
    const view = await viewOf(below('state_dict', broken));
    expect(refusal(view, SIX)).toMatch(/missing \(1\):\n {4}disLA\.model\.1\.weight_orig\n/);
  });
});

describe('several copies of a network', () => {
  const TWICE = both(below('model', SIX), below('ema', SIX));

  test('with equal right: none is taken, both are named, and how to choose', async () => {
    const view = await viewOf(TWICE);
    const message =
      'x.bin holds genA2B below "ema" and below "model": write the one you want to a file of its own ' +
      '(npx tsx cli/convert.ts x.bin ONE.safetensors --key ema)';
    expect(refusal(view, SIX)).toBe(message);
    expect(() => generatorOptions(view, 'genA2B')).toThrow(message);
    const ema = await viewOf(TWICE, 'ema');
    expect(await contents(ema)).toEqual(bits(SIX));
    await expect(viewOf(TWICE, 'emma')).rejects.toThrow(
      'x.bin: has no tensors below "emma"; at its top are "model", "ema"',
    );
  });

  test.each([
    ['below a key', (name: string) => `ema.${name}`, 'ema'],
    ['beside', (name: string) => name.replace(/^(gen\w+)/, '$1_ema'), 'genA2B_ema'],
  ])('the one at the top is taken before one %s, and that is said', async (_, rename, key) => {
    const generators = new Map([...SIX].filter(([name]) => name.startsWith('gen')));
    const negative = new Map(
      [...generators].map(([name, t]) => [name, { ...t, data: (t.data as Float32Array).map((x) => -x) }]),
    );
    const view = await viewOf(both(renamed(negative, rename), SIX));
    const said: string[] = [];
    const pairs = matchTensors(shapes(SIX), view, { warn: (message) => said.push(message) });
    expect(said[0]).toMatch(/^x\.bin: takes genA2B.* at its top, not below "\w*ema" \(.*--key/);
    expect(said[0]).toContain(`"${key}"`);
    const tensor = await view.readRaw(pairs.get('genA2B.gap_fc.weight')!);
    expect(bits([['x', tensor]])).toEqual(bits([['x', SIX.get('genA2B.gap_fc.weight')!]]));
  });

  test('unnamed generators', async () => {
    const view = await viewOf(both(below('G_AB', GENERATOR), below('G_BA', GENERATOR)));
    expect(() => generatorOptions(view, 'genA2B')).toThrow(
      /holds a generator below "G_AB" and below "G_BA":/,
    );
  });

  test('moments of Adam are no copies', async () => {
    const moments = both(below('adam.m', SIX), below('adam.v', SIX));
    const view = await viewOf(both(SIX, moments));
    expect(view.rivals.size + view.notices.length).toBe(0);
    expect(view.extras.size).toBe(2 * SIX.size);
    expect(refusal(view, SIX)).toBe('matched');
  });

  test('a wrapped and an unwrapped copy', async () => {
    const view = await viewOf(both(SIX, below('module', SIX)));
    expect(view.notices).toEqual([expect.stringContaining('at its top, not below "module"')]);
  });

  test('more than any honest file has', async () => {
    const one = new Map([['DownBlock.1.weight', GENERATOR.get('DownBlock.1.weight')!]]);
    const many = both(...Array.from({ length: 65 }, (_, i) => below(`n${i}`, one)));
    await expect(viewOf(many)).rejects.toThrow('holds more than 64 networks');
  });

  test('two tensors for one name', async () => {
    const clash = new Map([['gamma.weight', GENERATOR.get('gamma.weight')!]]);
    await expect(viewOf(both(below('g', GENERATOR), clash))).rejects.toThrow(
      'two of its tensors would be called "gamma.weight"',
    );
  });
});

describe('convert', () => {
  test('writes plain names, and one of two copies by its key', () =>
    inFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      const twice = both(below('model', SIX), below('ema.module', SIX));
      await writeFile(path('two.safetensors'), serializeSafetensors(twice));
      await expect(convert(path('two.safetensors'), path('x.pt'))).rejects.toThrow(/^\S+ holds genA2B below/);
      expect(existsSync(path('x.pt'))).toBe(false);
      await convert(path('two.safetensors'), path('x.pt'), { key: 'ema' });
      const view = await openCheckpoint(path('x.pt'));
      expect(await contents(view)).toEqual(bits(SIX));
      await view.close();
    }));

  test('says which copy it takes, and keeps networks without names', () =>
    inFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      const said: string[] = [];
      const warn = (message: string) => said.push(message);
      await writeFile(path('a.safetensors'), serializeSafetensors(both(SIX, below('ema', SIX))));
      expect(await convert(path('a.safetensors'), path('b.pt'), { warn })).toBe(SIX.size);
      expect(said).toEqual([expect.stringMatching(/a\.safetensors: takes genA2B, .* not below "ema"/)]);
      const pair = both(below('G_AB', GENERATOR), below('G_BA', GENERATOR));
      await writeFile(path('c.safetensors'), serializeSafetensors(pair));
      expect(await convert(path('c.safetensors'), path('d.pt'))).toBe(pair.size);
    }));
});

describe('files as people keep them (../shared/faults/checkpoints)', () => {
  const folder = fileURLToPath(new URL('../../../shared/faults/checkpoints/', import.meta.url));
  const names = 'args.pt multistep.pt compiled.pt wrapped.pt parallel.pt parallel.safetensors thop.pt'.split(
    ' ',
  );

  test.skipIf(!existsSync(folder)).each(names)('%s has the generator of clean.pt', async (name) => {
    const [clean, view] = [
      await openCheckpoint(join(folder, 'clean.pt')),
      await openCheckpoint(folder + name),
    ];
    const wanted = clean.names().filter((one) => splitName(one, clean.networks).network === 'genA2B');
    const said: string[] = [];
    const expected = new Map(wanted.map((one) => [one, clean.shape(one)]));
    expect(generatorOptions(view, 'genA2B')).toEqual(generatorOptions(clean, 'genA2B'));
    const pairs = matchTensors(expected, view, { network: 'genA2B', warn: (message) => said.push(message) });
    for (const [one, other] of pairs) expect(await view.read(other)).toEqual(await clean.read(one));
    expect(pairs.size).toBe(wanted.length);
    const counters = 'the model has no place for genA2B.total_ops, genA2B.total_params';
    expect(said).toEqual(name === 'thop.pt' ? [expect.stringContaining(counters)] : []);
    await Promise.all([clean.close(), view.close()]);
  });
});
