import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, scanFolder } from '../../train/data/folder.ts';
import { countPictures, pictureName } from '../../train/data/source.ts';

const shared = fileURLToPath(new URL('../../../shared/data/', import.meta.url));
let root: string;
/** A file that looks like a picture from its first bytes. */
const put = async (path: string, content: string | Uint8Array = Uint8Array.of(0xff, 0xd8, 0xff)) => {
  await mkdir(join(root, path, '..'), { recursive: true });
  await writeFile(join(root, path), content);
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-folder-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('scanning', () => {
  it("keeps the authors' order and takes pictures only", async () => {
    const names = [
      'b.jpg',
      'a.PNG',
      'Z.webp',
      'ä.tif',
      'sub/1.bmp',
      'sub-1/2.ppm',
      'sub/deep/3.pgm',
      'a b ü.jpeg',
    ];
    const others = [
      'Thumbs.db',
      '.hidden.jpg',
      '.git/x.jpg',
      'note.txt',
      'moving.gif',
      'folder.jpg/inside.tiff',
    ];
    for (const name of [...names, ...others]) await put(join('scan', name));
    await symlink(join(root, 'scan'), join(root, 'scan', 'loop'));
    await symlink(join(root, 'scan', 'b.jpg'), join(root, 'scan', 'linked.jpg'));
    const found = (await scanFolder(join(root, 'scan'))).map((path) => relative(join(root, 'scan'), path));
    // Python: sorted(os.walk(...)) compares whole paths, and '-' sorts before '/'.
    const top = ['Z.webp', 'a b ü.jpeg', 'a.PNG', 'b.jpg', 'linked.jpg', 'ä.tif'];
    expect(found).toEqual([...top, 'folder.jpg/inside.tiff', 'sub/1.bmp', 'sub-1/2.ppm', 'sub/deep/3.pgm']);
  });
});

describe('opening a data set', () => {
  it('draws the embedded one', async () => {
    expect(countPictures((await openDataset('toy-cat2dog', { toy: { train: 7 } })).trainB)).toBe(7);
  });

  it('leaves out what is no picture, and says so once', async () => {
    await put('some/trainA/ok.jpg');
    await put('some/trainA/empty.jpg', '');
    await put('some/trainB/page.png', '<!DOCTYPE html>');
    await put('some/trainB/ok.png', '\x89PNG');
    await put('some/trainB/ok.webp', 'RIFFxxxxWEBP');
    const told: string[] = [];
    const data = await openDataset(join(root, 'some'), { warn: (message) => told.push(message) });
    expect(told.map((message) => message.replace(root, ''))).toEqual([
      '/some/trainA/empty.jpg is an empty file; left out',
      '/some/trainB/ok.png is not a picture in a known format ' +
        '(JPEG, PNG, WebP, GIF, TIFF, BMP, PNM); left out',
      '/some/trainB/page.png is a web page or SVG, not a picture; left out',
    ]);
    expect([countPictures(data.trainA), pictureName(data.trainB, 0)]).toEqual([1, 'ok.webp']);
    expect(countPictures(data.testA)).toBe(0);
  });

  it('refuses a data set without the pictures it needs', async () => {
    await put('half/trainA/1.jpg');
    const path = join(root, 'half');
    await expect(openDataset(path)).rejects.toThrow(`${path} has no folder trainB: a data set holds trainA`);
    await put('half/trainB/empty.jpg', '');
    await expect(openDataset(path, { warn: () => {} })).rejects.toThrow(
      `${path}/trainB holds no pictures (1 unreadable): put some there`,
    );
    expect((await openDataset(path, { need: ['trainA'], warn: () => {} })).name).toBe('half');
  });
});

describe.skipIf(!existsSync(shared))('shared/data', () => {
  it('finds the four folders of cat2dog, of different sizes, and ignores the manifest', async () => {
    const data = await openDataset(join(shared, 'cat2dog'));
    const counts = [data.trainA, data.trainB, data.testA, data.testB].map(countPictures);
    expect(counts).toEqual([444, 208, 45, 42]);
    expect(data.skipped).toEqual([]);
  });

  it('passes over what expected.json says to skip', async () => {
    const names = (await scanFolder(join(shared, 'formats'))).map((path) => basename(path));
    for (const name of ['Thumbs.db', '.DS_Store', 'directory-named.jpg', 'expected.json']) {
      expect(names).not.toContain(name);
    }
    expect(names).toContain('UPPERCASE-EXT.JPG');
  });
});
