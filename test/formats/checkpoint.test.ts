import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeArchitecture } from '../../train/formats/architecture.ts';
import { openCheckpoint } from '../../train/formats/checkpoint.ts';
import { convert } from '../../train/formats/convert.ts';
import { matchTensors } from '../../train/formats/match.ts';
import { serializeSafetensors } from '../../train/formats/safetensors.ts';
import { bytesOf, fixturePath, inFolder, makeZip, readAll, u16 } from './files.ts';

const SIX = fixturePath('six.zip.pt');
const LONE = fixturePath('generator.legacy.pt');

async function shapesOf(path: string): Promise<Map<string, number[]>> {
  const view = await openCheckpoint(path);
  const shapes = new Map(view.names().map((name) => [name, [...view.shape(name)]]));
  await view.close();
  return shapes;
}

/** The error of matching `expected` with a file. */
async function mismatch(path: string, expected: Map<string, number[]>, network?: string): Promise<string> {
  const view = await openCheckpoint(path);
  try {
    matchTensors(expected, view, { network });
    return 'matched';
  } catch (error) {
    return (error as Error).message;
  } finally {
    await view.close();
  }
}

describe('describeArchitecture', () => {
  test('six light networks', async () => {
    const view = await openCheckpoint(SIX);
    expect(describeArchitecture(view)).toEqual({
      networks: ['genA2B', 'genB2A', 'disGA', 'disGB', 'disLA', 'disLB'],
      lone: false,
      settings: { ch: 1, nRes: 1, light: true, disLayers: { global: 4, local: 3 } },
    });
    await view.close();
  });

  test('one full generator without a name', async () => {
    const view = await openCheckpoint(LONE);
    const found = {
      networks: [],
      lone: true,
      settings: { ch: 1, nRes: 2, light: false, size: 8, disLayers: {} },
    };
    expect(describeArchitecture(view)).toEqual(found);
    await view.close();
  });
});

describe('matchTensors', () => {
  test('pairs equal names, and a lone generator with either one', async () => {
    const lone = await shapesOf(LONE);
    const named = new Map([...lone].map(([name, shape]) => [`genB2A.${name}`, shape]));
    const view = await openCheckpoint(LONE);
    expect(matchTensors(lone, view).get('gap_fc.weight')).toBe('gap_fc.weight');
    expect(matchTensors(named, view).get('genB2A.gap_fc.weight')).toBe('gap_fc.weight');
    await view.close();
  });

  test('one network of six, by its name or by option', async () => {
    const all = await shapesOf(SIX);
    const part = new Map([...all].filter(([name]) => name.startsWith('genA2B.')));
    const bare = new Map([...part].map(([name, shape]) => [name.slice('genA2B.'.length), shape]));
    expect(await mismatch(SIX, part)).toBe('matched');
    expect(await mismatch(SIX, bare, 'genA2B')).toBe('matched');
  });

  test('lists what differs and names the options that fit', async () => {
    const expected = await shapesOf(SIX);
    const view = await openCheckpoint(LONE);
    const message = await mismatch(
      LONE,
      new Map([...expected].filter(([name]) => name.startsWith('genA2B.'))),
    );
    expect(message).toContain(`${LONE} does not fit the model`);
    expect(message).toContain('FC.0.weight is [4,16], the model needs [4,4]');
    expect(message).toMatch(/not in the model \(6\):/);
    expect(message).toContain('these options would fit: --full --n-res 2 --size 8');
    await view.close();
  });

  test('shows ten of a sort, then a count; other channels and layers have their options', async () => {
    const wide = new Map([...(await shapesOf(SIX))].map(([name, shape]) => [name, shape.map((n) => 2 * n)]));
    for (const name of [...wide.keys()]) if (name.includes('.model.7.')) wide.delete(name);
    wide.set('disGA.extra', [1]);
    const message = await mismatch(SIX, wide);
    expect(message).toContain('missing (1):\n    disGA.extra\n');
    expect(message).toMatch(/wrong shape \(128\):(\n {4}\S.*){10}\n {4}and 118 more/);
    expect(message).toMatch(/options would fit: --ch 1 --dis-layers 4,3$/);
  });

  test('says which networks the file has', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'g.safetensors');
      const all = await shapesOf(SIX);
      await convert(SIX, path, { net: 'genB2A' });
      expect(await mismatch(path, all)).toMatch(/one network alone/);
      const half = join(folder, 'half.safetensors');
      const tensors = { 'genA2B.a': { shape: [1], dtype: 'F32' as const, data: new Float32Array(1) } };
      await writeFile(half, serializeSafetensors(Object.entries(tensors)));
      expect(await mismatch(half, all)).toMatch(/has no genB2A, disGA, disGB, disLA, disLB; it has genA2B$/);
    });
  });
});

describe('openCheckpoint', () => {
  test('removes what DataParallel puts in front of names', async () => {
    // A dictionary with one key, two of them deep, around a tensor of one element.
    const tensor = ['ctorch._utils\n_rebuild_tensor_v2\n((X', 7, 0, 0, 0, 'storagectorch\nFloatStorage\nX'];
    const rest = [1, 0, 0, 0, '0X', 3, 0, 0, 0, 'cpuK', 1, 'tQK', 0, 'K', 1, 0x85, 'K', 1, 0x85, 0x89, 'NtR'];
    const key = [bytesOf('X', 22, 0, 0, 0), 'module.conv1x1.weight2'];
    const inner = bytesOf('}(', ...key, ...tensor, ...rest, 'u');
    const pickle = bytesOf(0x80, 2, '}(X', u16(6), u16(0), 'genA2B', inner, 'u.');
    const zip = makeZip([
      { name: 'a/data.pkl', data: pickle },
      { name: 'a/data/0', data: new Uint8Array(4) },
    ]);
    expect(Object.keys(await readAll(zip))).toEqual(['genA2B.conv1x1.weight2']);
  });

  test.each([
    ['', 'the file is empty'],
    ['version https://git-lfs.github.com/spec/v1\n', 'Git LFS pointer'],
    ['<!DOCTYPE html><html>', 'a web page'],
    ['\x1f\x8b\x08', 'gzip data'],
    ['PK\x03\x04', 'zip: truncated'],
    ['something else', 'neither PyTorch (.pt) nor safetensors'],
  ])('says what %j is instead', async (text, message) => {
    await expect(readAll(new Uint8Array(Buffer.from(text, 'latin1')))).rejects.toThrow(message);
  });
});
