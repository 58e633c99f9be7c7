import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalPath, resolveData, sameData, sameFolder } from '../../train/data/dataPath.ts';
import { DataError } from '../../train/data/errors.ts';
import { dataFingerprint, fingerprintChange } from '../../train/data/fingerprint.ts';
import { openDataset } from '../../train/data/folder.ts';
import { toyDataset } from '../../train/data/toy/dataset.ts';

let root: string;
/** The working folder that the tests were started in: names are relative to the working folder. */
const before = process.cwd();
const put = async (path: string, bytes = 3) => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.alloc(bytes, Uint8Array.of(0xff, 0xd8, 0xff)));
};

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'adawn-path-')));
  process.chdir(root);
  for (const place of ['dataset/both', 'both', 'dataset/below', 'beside', 'a/b'])
    await put(`${place}/trainA/1.jpg`);
});
afterAll(async () => {
  process.chdir(before);
  await rm(root, { recursive: true, force: true });
});

describe('what a data set is called', () => {
  it('is a name below the data root, a path, or the drawn one', async () => {
    expect(await resolveData('below')).toEqual({ kind: 'folder', name: 'below', path: 'dataset/below' });
    expect(await resolveData('beside')).toEqual({ kind: 'folder', name: 'beside', path: 'beside' });
    expect(await resolveData('both', 'a')).toEqual({ kind: 'folder', name: 'both', path: 'both' });
    expect(await resolveData('a/b/')).toMatchObject({ name: 'b' });
    expect(await resolveData(join(root, 'dataset/below/'), 'x')).toMatchObject({ name: 'below' });
    expect(await resolveData('toy-cat2dog')).toEqual({ kind: 'toy' });
  });

  it('is a path and nothing else behind ./ and ../', async () => {
    expect(await resolveData('./both')).toEqual({ kind: 'folder', name: 'both', path: './both' });
    await expect(resolveData('./below')).rejects.toThrow('there is no data set folder ./below\n');
    process.chdir(join(root, 'a'));
    try {
      expect(await resolveData('../both', '../dataset')).toMatchObject({ path: '../both' });
      expect(await resolveData('..', '../dataset')).toMatchObject({ path: '..' });
      await expect(resolveData('../below', '../dataset')).rejects.toThrow(DataError);
    } finally {
      process.chdir(root);
    }
  });

  it('that fits two folders takes the one below the data root, and says so', async () => {
    const note =
      'dataset/both and ./both are both folders: dataset/both was taken (write ./both for the other)';
    expect(await resolveData('both')).toEqual({ kind: 'folder', name: 'both', path: 'dataset/both', note });
    expect(await resolveData('both', '.')).not.toHaveProperty('note'); // one folder, found in two ways
    const told: string[] = [];
    await openDataset('both', { need: [], warn: (message) => told.push(message) });
    expect(told).toEqual([note]);
  });

  it('is the drawn one even beside a folder of that name', async () => {
    await put('toy-cat2dog/trainA/1.jpg');
    const note = 'toy-cat2dog is drawn by adawn; write ./toy-cat2dog for the folder toy-cat2dog';
    expect(await resolveData('toy-cat2dog')).toEqual({ kind: 'toy', note });
    expect(await resolveData('./toy-cat2dog')).toMatchObject({ kind: 'folder' });
    await rm('toy-cat2dog', { recursive: true });
  });

  it('helps in three lines when there is none', async () => {
    const error: Error = await resolveData('horse2zebra', join(root, 'none')).catch((e) => e);
    expect(error).toBeInstanceOf(DataError);
    const [sentence, ...help] = error.message.split('\n');
    expect(sentence).toContain('there is no data set "horse2zebra"');
    expect(help).toHaveLength(3);
    expect(help[0]).toMatch(/get it: .*https:.*trainA, trainB, testA, testB/);
    expect(help[1]).toContain('npx tsx cli/data.ts prepare');
    expect(help[2]).toContain('toy-cat2dog');
  });
});

describe('one folder, written in several ways', () => {
  it('is the same folder', async () => {
    await symlink(join(root, 'both'), join(root, 'linked'));
    for (const way of ['both', './both/', 'a/../both', join(root, 'both'), 'linked']) {
      expect(await sameFolder('both', way), way).toBe(true);
    }
    expect(await sameFolder('both', 'dataset/both')).toBe(false);
    expect(await canonicalPath('linked/not/there.png')).toBe(join(root, 'both/not/there.png'));
  });

  it('is the same data set', async () => {
    const named = (data: string, dataRoot = 'dataset') => ({ data, dataRoot });
    expect(await sameData(named('below'), named('./dataset/below'))).toBe(true);
    expect(await sameData(named('below'), named(join(root, 'dataset/below'), 'x'))).toBe(true);
    expect(await sameData(named('both'), named('./both'))).toBe(false);
    expect(await sameData(named('toy-cat2dog'), named('toy-cat2dog', 'x'))).toBe(true);
    expect(await sameData(named('toy-cat2dog'), named('both'))).toBe(false);
    expect(await sameData(named('gone'), named('both'))).toBe(false);
    expect(await sameData(named('gone'), named('gone/'))).toBe(true);
    expect(await sameData(named('gone'), named('gone', 'elsewhere'))).toBe(false);
  });
});

describe('the fingerprint of training pictures', () => {
  const read = async (path: string) => dataFingerprint(await openDataset(path));

  it('stays when the data set moves and changes with its pictures', async () => {
    for (const name of ['trainA/sub/1.jpg', 'trainA/2.jpg', 'trainB/1.jpg', 'testA/1.jpg'])
      await put(`print/${name}`);
    const first = await read('print');
    expect(first).toMatchObject({ trainA: 2, trainB: 1, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await rename('print', 'moved');
    expect(fingerprintChange(first, await read('moved'))).toBeNull();
    await put('moved/testA/2.jpg'); // test pictures do not decide the order
    expect(fingerprintChange(first, await read('moved'))).toBeNull();
    await put('moved/trainA/2.jpg', 6);
    expect(fingerprintChange(first, await read('moved'))).toBe('some pictures have other names or sizes');
    await put('moved/trainA/2.jpg');
    await put('moved/trainB/2.jpg');
    expect(fingerprintChange(first, await read('moved'))).toBe('trainB had 1 pictures and has 2');
    await rm('moved/trainB/2.jpg');
    await rename('moved/trainA/2.jpg', 'moved/trainA/3.jpg');
    expect(fingerprintChange(first, await read('moved'))).not.toBeNull();
  });

  it('of drawn pictures follows what is drawn', async () => {
    const drawn = await dataFingerprint(toyDataset({ train: 5 }));
    expect(drawn).toEqual(await dataFingerprint(toyDataset({ train: 5, test: 1 })));
    expect(drawn.sha256).not.toBe((await dataFingerprint(toyDataset({ train: 5, seed: 2 }))).sha256);
  });
});
