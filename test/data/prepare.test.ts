import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planPreparation } from '../../train/data/prepare.ts';

const options = { size: 32, test: 0.2, seed: 1 };
let root: string;
const put = async (path: string) => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), Uint8Array.of(0xff, 0xd8, 0xff));
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-prepare-'));
  for (let i = 0; i < 10; i++) await put(`two/dogs/${i}.jpg`);
  for (const name of ['x.jpg', 'sub/X.png', 'sub/deep/x.webp']) await put(`two/cats/${name}`);
  for (const split of ['trainA', 'trainB', 'testB']) await put(`done/${split}/1.jpg`);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('preparing a data set', () => {
  it('takes the two folders of one in alphabetical order and splits them', async () => {
    const { jobs } = await planPreparation([join(root, 'two')], join(root, 'out'), options);
    const folders = jobs.map(({ from, to }) =>
      [from.includes('cats') ? 'A' : 'B', basename(dirname(to))].join(' '),
    );
    const count = (key: string) => folders.filter((folder) => folder === key).length;
    expect(['A trainA', 'A testA', 'B trainB', 'B testB'].map(count)).toEqual([2, 1, 8, 2]);
  });

  it('gives names that differ on every file system', async () => {
    const { jobs } = await planPreparation([join(root, 'two')], join(root, 'out'), { ...options, test: 0 });
    const names = jobs.filter(({ to }) => to.includes('trainA')).map(({ to }) => basename(to));
    expect(names).toEqual(['x.png', 'X-2.png', 'x-3.png']);
  });

  it('splits alike each time, and differently by seed', async () => {
    const plan = (seed: number) =>
      planPreparation([join(root, 'two')], join(root, 'out'), { ...options, seed });
    expect(await plan(1)).toEqual(await plan(1));
    expect(await plan(2)).not.toEqual(await plan(1));
  });

  it('keeps the standard layout', async () => {
    const { jobs } = await planPreparation([join(root, 'done')], join(root, 'out'), options);
    expect(jobs.map(({ to }) => to.slice(root.length + 5))).toEqual([
      'trainA/1.png',
      'trainB/1.png',
      'testB/1.png',
    ]);
  });

  it('refuses to write over pictures, and sources it does not understand', async () => {
    await expect(planPreparation([join(root, 'two')], join(root, 'done'), options)).rejects.toThrow(
      'trainA holds 1 pictures already: choose another name or remove it',
    );
    await mkdir(join(root, 'three/a'), { recursive: true });
    await expect(planPreparation([join(root, 'three')], join(root, 'out'), options)).rejects.toThrow(
      'holds 1 folders: give two folders of pictures, A and B',
    );
  });
});
