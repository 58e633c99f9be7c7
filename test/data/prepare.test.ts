import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeFile } from '../../train/data/decode.ts';
import { openDataset } from '../../train/data/folder.ts';
import { prepareAll } from '../../train/data/prepare.ts';
import { planPreparation } from '../../train/data/preparePlan.ts';
import { countPictures } from '../../train/data/source.ts';
import { drawPictures } from '../train/pictures.ts';

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
      'trainA holds 1 picture already: choose another name or remove it',
    );
    await mkdir(join(root, 'three/a'), { recursive: true });
    await expect(planPreparation([join(root, 'three')], join(root, 'out'), options)).rejects.toThrow(
      'holds 1 folders: give two folders of pictures, A and B',
    );
    await expect(planPreparation([join(root, 'none')], join(root, 'out'), options)).rejects.toThrow(
      /the folder \S+none cannot be read: no such file or folder/,
    );
  });

  it('takes linked folders, and no target inside a folder of pictures', async () => {
    await mkdir(join(root, 'linked'));
    for (const name of ['cats', 'dogs']) await symlink(join(root, 'two', name), join(root, 'linked', name));
    const { jobs } = await planPreparation([join(root, 'linked')], join(root, 'linked/out'), options);
    expect(jobs).toHaveLength(13);
    const pair = [join(root, 'two/cats'), join(root, 'two/dogs')];
    await expect(planPreparation(pair, join(root, 'linked/cats/out'), options)).rejects.toThrow(
      /out lies inside \S+cats, whose pictures it is made from/,
    );
  });
});

describe('a preparation that was stopped', () => {
  const small = { size: 12, test: 0.25, seed: 1 };
  const tree = async (folder: string) => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    return Promise.all(
      files.sort().map(async (path) => [path.slice(folder.length), await readFile(path, 'hex')]),
    );
  };
  let sources: string[];
  /** Prepares into `name`, and stops after so many pictures. */
  const go = async (name: string, stopAfter = Number.POSITIVE_INFINITY, changes = {}) => {
    const stop = new AbortController();
    const plan = await planPreparation(sources, join(root, name), { ...small, ...changes });
    let [ticks, left] = [0, stopAfter];
    const tick = () => {
      ticks++;
      if (--left === 0) stop.abort();
    };
    const end = await prepareAll(plan, tick, stop.signal);
    return { ...end, ticks };
  };
  const half = (name: string) => openDataset(join(root, name), { warn: () => {} });

  beforeAll(async () => {
    sources = [join(root, 'drawn/trainA'), join(root, 'drawn/trainB')];
    await drawPictures(join(root, 'drawn'), { train: 8, test: 0, size: 20 });
    await writeFile(join(root, 'drawn/trainA/bad.png'), 'GIF89a and nothing');
  });

  it('is gone on with: what is made stays, and the end is as without the stop', async () => {
    expect(await go('whole')).toMatchObject({ made: 16, finished: true });
    const first = await go('stopped', 5);
    expect(first.finished).toBe(false);
    expect(first.made).toBeLessThan(9); // four are in work at a time
    const at = join(root, 'stopped/trainA');
    await writeFile(join(at, '.adawn-0123456789ab.tmp'), 'what a killed process leaves behind');
    const second = await go('stopped', 3);
    const third = await go('stopped');
    expect(third).toMatchObject({
      made: 16,
      finished: true,
      skipped: [{ problem: expect.stringContaining('damaged GIF') }],
    });
    expect(third.ticks).toBe(17 - second.made); // the unreadable one is tried again
    expect((await tree(join(root, 'stopped'))).map(([name]) => name)).not.toContain(
      '/trainA/.adawn-0123456789ab.tmp',
    );
    const [whole, stopped] = [await tree(join(root, 'whole')), await tree(join(root, 'stopped'))];
    expect(stopped).toEqual(whole);
    await expect(go('stopped')).rejects.toThrow(/trainA holds \d+ pictures already/);
    expect((await half('stopped')).name).toBe('stopped');
  });

  it('leaves a half that says so, to training and to the eye', async () => {
    await go('said', 5);
    const command = String.raw`npx tsx \S+ prepare \S+trainA \S+trainB \S+said --size 12 --test 0\.25`;
    const message = new RegExp(
      `said is half made: .* 17 pictures .* "${command}" .*/adawn-prepare\\.json to use`,
    );
    await expect(half('said')).rejects.toThrow(message);
    const told: string[] = [];
    const data = await openDataset(join(root, 'said'), {
      unfinished: true,
      need: [],
      warn: (m) => told.push(m),
    });
    expect(told[0]).toMatch(message);
    expect(countPictures(data.trainA) + countPictures(data.testA)).toBeGreaterThan(0);
    await rm(join(root, 'said/adawn-prepare.json'));
    await expect(openDataset(join(root, 'said'), { need: ['trainA'] })).resolves.toBeDefined();
    await expect(go('said')).rejects.toThrow('already: choose another name or remove it');
  });

  it('is not mixed with other options or other pictures', async () => {
    await go('mixed', 5);
    const before = await tree(join(root, 'mixed'));
    await expect(go('mixed', 1, { size: 16, background: 'white', crop: false })).rejects.toThrow(
      'mixed is half made, begun with --size 12 (now --size 16), the default --crop (now --no-crop), ' +
        'no --background (now --background white): go on with "npx tsx',
    );
    await writeFile(
      join(root, 'drawn/trainB/more.png'),
      await readFile(join(root, 'drawn/trainB/dog-0000.png')),
    );
    await expect(go('mixed')).rejects.toThrow(
      'mixed is half made, from pictures that have changed since (17 then, 18 now): remove it, or choose',
    );
    await rm(join(root, 'drawn/trainB/more.png'));
    expect(await tree(join(root, 'mixed'))).toEqual(before);
  });

  it('replaces no file that it did not make', async () => {
    await go('yours', 5);
    const [job] = (await planPreparation(sources, join(root, 'yours'), small)).jobs.filter(
      ({ to }) => !existsSync(to),
    );
    await writeFile(job.to, 'my notes');
    await expect(go('yours')).rejects.toThrow(
      `${job.to} is in the way: it is no picture of this preparation`,
    );
    expect(await readFile(job.to, 'utf8')).toBe('my notes');
    await writeFile(job.to, ''); // all that a power cut leaves
    expect(await go('yours')).toMatchObject({ made: 16, finished: true });
    await writeFile(join(root, 'adawn-prepare.json'), '{"name": "my app"}');
    await expect(go('.')).rejects.toThrow(/adawn-prepare\.json is damaged, or was not written by "prepare"/);
  });

  it('or that a disk has stopped goes on too, and says so', async () => {
    await mkdir(join(root, 'blocked'));
    await writeFile(join(root, 'blocked/trainB'), 'in the way');
    await expect(go('blocked')).rejects.toThrow(
      /trainB\/dog-\d+\.png cannot be written: .*; once that is put right, the same command goes on$/,
    );
    await rm(join(root, 'blocked/trainB'));
    expect(await go('blocked')).toMatchObject({ made: 16, finished: true });
  });

  it('costs a name that the disk does not take that picture alone', async () => {
    const long = `${'x'.repeat(252)}.jp`; // fits, and with .png it does not
    await mkdir(join(root, 'long/A'), { recursive: true });
    const picture = await readFile(join(root, 'drawn/trainA/cat-0000.png'));
    for (const name of [`${long.slice(0, 251)}.jpe`, 'a.png'])
      await writeFile(join(root, 'long/A', name), picture);
    const plan = await planPreparation([join(root, 'long/A'), sources[1]], join(root, 'long/out'), small);
    const jobs = plan.jobs.map((job) => (job.from.includes('xxx') ? { ...job, to: `${job.to}g` } : job));
    const { made, skipped } = await prepareAll({ ...plan, jobs }, () => {}, new AbortController().signal);
    expect(made).toBe(9);
    expect(skipped.map(({ problem }) => problem)).toEqual([
      'cannot be written: the name is too long for this file system',
    ]);
  });

  it('shows transparent pictures over a background', async () => {
    const rgba = Buffer.alloc(20 * 20 * 4, Uint8Array.of(10, 200, 30, 0));
    const png = await sharp(rgba, { raw: { width: 20, height: 20, channels: 4 } })
      .png()
      .toBuffer();
    for (const domain of ['A', 'B']) {
      await mkdir(join(root, 'clear', domain), { recursive: true });
      await writeFile(join(root, 'clear', domain, '1.png'), png);
    }
    sources = ['A', 'B'].map((domain) => join(root, 'clear', domain));
    await go('over', undefined, { background: 'blue', test: 0 });
    const first = async (path: string) => [...(await decodeFile(path)).data.subarray(0, 3)];
    expect(await first(join(root, 'over/trainA/1.png'))).toEqual([0, 0, 255]);
    // A data set can be read over a background as well, on any thread.
    const { trainA, trainB } = await openDataset(join(root, 'over'), { background: 'white' });
    expect([trainA, trainB]).toMatchObject([
      { background: [255, 255, 255] },
      { background: [255, 255, 255] },
    ]);
  });
});
