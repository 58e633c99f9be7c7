import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeFile } from '../../train/data/decode.ts';
import { isMarked } from '../../train/data/png.ts';
import { drawPictures } from '../train/pictures.ts';
import { inPairs, run } from './process.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../formats/fixtures/${name}`, import.meta.url));
const WEIGHTS = fixture('six.safetensors');

let root: string;
let cat: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-translate-'));
  await drawPictures(join(root, 'drawn'), { train: 1, test: 1, size: 40 });
  cat = join(root, 'drawn', 'trainA', 'cat-0000.png');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const translate = (input: string, output: string, ...more: string[]) =>
  run('translate', '--weights', WEIGHTS, '--input', input, '--output', join(root, output), ...more);

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(join(root, folder).length + 1)).sort();
}

async function sizeOf(file: string): Promise<[number, number]> {
  const { width, height } = await decodeFile(join(root, file));
  return [width, height];
}

describe('translating', () => {
  test('a folder: sizes, heat maps, grid, same stems, unreadable pictures listed at the end', async () => {
    const input = join(root, 'in');
    await mkdir(join(input, 'sub'), { recursive: true });
    for (const name of ['a.png', 'a.jpg', 'grid.png', 'two words ü.png', 'sub/b.PNG']) {
      await copyFile(cat, join(input, name));
    }
    await writeFile(join(input, 'bad.jpg'), 'no picture');
    await copyFile(cat, join(input, 'sub', 'cut.png'));
    await truncate(join(input, 'sub', 'cut.png'), 300);
    const { code, out, err } = await translate(input, 'out', '--size', '32', '--heatmap', '--grid');
    expect(code).toBe(0);
    expect(out).toBe(`5 translated, 2 left out: ${join(root, 'out')}\n`);
    expect(err).toMatch(/\S+bad\.jpg is a text file, .*; left out\n\S+cut\.png .*; left out\n$/);
    const names = ['a', 'a.png', 'grid.png', 'sub/b', 'two words ü'];
    const expected = [...names.flatMap((name) => [`${name}.png`, `${name}.heatmap.png`]), 'grid.png'];
    expect(await filesIn('out')).toEqual(expected.sort());
    expect(await sizeOf('out/a.png')).toEqual([32, 32]);
    expect(await sizeOf('out/a.heatmap.png')).toEqual([32, 32]);
    const [width, height] = await sizeOf('out/grid.png'); // five columns of input, heat map, output
    expect([Math.floor(width / 32), Math.floor(height / 32)]).toEqual([5, 3]);
    // So that the same command may replace them.
    for (const name of ['a.png', 'a.heatmap.png', 'grid.png']) {
      expect(await isMarked(join(root, 'out', name), 'translation'), name).toBe(true);
    }
    // The same picture gives the same translation, in any place and under any name.
    const bytes = await Promise.all(names.map((name) => readFile(join(root, 'out', `${name}.png`))));
    for (const other of bytes) expect(other.equals(bytes[0])).toBe(true);
  });

  test('pictures, either way, with weights of PyTorch as well, over a background', async () => {
    const clear = { width: 40, height: 40, channels: 4, background: '#12345600' } as const;
    await sharp({ create: clear }).png().toFile(join(root, 'clear.png'));
    await sharp({ create: { ...clear, background: '#0000ff' } })
      .png()
      .toFile(join(root, 'blue.png'));
    const over = [join(root, 'blue.png'), '--background', 'blue', '--size', '32'];
    const torch = ['--weights', fixture('six.zip.pt'), '--input', cat, '--output', join(root, 'pt')];
    const ended = await inPairs([
      () => translate(cat, 'AtoB', '--size', '32'),
      () => translate(cat, 'BtoA', '--size', '32', '--direction', 'BtoA'),
      () => run('translate', ...torch, '--size', '32'),
      () =>
        run(
          'translate',
          '--weights',
          WEIGHTS,
          '--output',
          join(root, 'over'),
          '--input',
          join(root, 'clear.png'),
          ...over,
        ),
    ]);
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const both = ['clear.png', 'blue.png'].map((name) => readFile(join(root, 'over', name)));
    const [transparent, painted] = await Promise.all(both);
    expect(transparent.equals(painted)).toBe(true);
    const [there, back, pt] = await Promise.all(
      ['AtoB', 'BtoA', 'pt'].map((name) => readFile(join(root, name, 'cat-0000.png'))),
    );
    expect(there.equals(back)).toBe(false);
    expect(pt.equals(there)).toBe(true);
  });

  test('what cannot work is said in one sentence', async () => {
    await writeFile(join(root, 'text.png'), 'no picture');
    await mkdir(join(root, 'nothing'));
    await cp(join(root, 'drawn', 'trainA'), join(root, 'same'), { recursive: true });
    await writeFile(join(root, 'file'), '');
    const weights = (file: string) =>
      run('translate', '--weights', file, '--input', cat, '--output', join(root, 'x'));
    const cases: [() => ReturnType<typeof run>, RegExp][] = [
      [() => translate(join(root, 'text.png'), 'x'), /the picture could not be translated/],
      [() => translate(join(root, 'nothing'), 'x'), /--input \S+nothing holds no pictures/],
      [() => translate(join(root, 'absent'), 'x'), /--input \S+absent does not exist/],
      [
        () => translate(join(root, 'same'), 'same'),
        /would overwrite \S+cat-0000\.png, an input: choose another/,
      ],
      [
        () => translate(cat, 'file/out', '--size', '32'),
        /--output \S+ cannot be used: part of the path is not a folder/,
      ],
      [() => translate(cat, 'x', '--size', '30'), /--size must be a multiple of 4, got 30/],
      [() => translate(cat, 'x', '--size', '4'), /--size must be a whole number of at least 8, got 4/],
      [
        () => translate(cat, 'x', '--direction', 'up'),
        /Argument: direction, Given: "up", Choices: "AtoB", "BtoA"/,
      ],
      [() => weights(join(root, 'absent.pt')), /absent\.pt: no such file or folder/],
      [() => weights(cat), /cat-0000\.png: not a checkpoint: neither PyTorch/],
      [() => run('translate', '--input', cat), /--weights, --output must be given/],
      [() => run('translate', '--weight', WEIGHTS, '--input', cat), /Unknown argument: weight/],
      [() => translate(cat, 'x', '--background', 'blurple'), /"blurple" is no colour/],
    ];
    const ended = await inPairs(cases.map(([work]) => work));
    cases.forEach(([, message], i) => {
      expect(ended[i].err).toMatch(/^error: /m);
      expect(ended[i].err).toMatch(message);
      expect(ended[i].err).not.toMatch(/\n\s+at |node:internal/);
      expect(ended[i].code).toBe(1);
    });
    expect(await filesIn('same')).toEqual(['cat-0000.png']);
  });
});
