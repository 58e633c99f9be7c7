import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, openFolder } from '../../train/data/folder.ts';
import { leftOutSentences } from '../../train/data/leftOut.ts';
import { scanFolder } from '../../train/data/scan.ts';
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

/** The picture files of a folder below `root`, as paths below it. */
async function listed(folder: string): Promise<string[]> {
  const { files } = await scanFolder(join(root, folder));
  return files.map((path) => relative(join(root, folder), path));
}

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
    const others = ['Thumbs.db', '.hidden.jpg', '.git/x.jpg', 'note.txt', 'folder.jpg/inside.tiff'];
    for (const name of [...names, ...others]) await put(join('scan', name));
    await symlink(join(root, 'scan', 'b.jpg'), join(root, 'scan', 'linked.jpg'));
    const found = await listed('scan');
    // Python: sorted(os.walk(...)) compares whole paths, and '-' sorts before '/'.
    const top = ['Z.webp', 'a b ü.jpeg', 'a.PNG', 'b.jpg', 'linked.jpg', 'ä.tif'];
    expect(found).toEqual([...top, 'folder.jpg/inside.tiff', 'sub/1.bmp', 'sub-1/2.ppm', 'sub/deep/3.pgm']);
  });

  it('takes every extension that a picture of a kind we read goes by', async () => {
    const names = ['a.jfif', 'b.jpe', 'c.JIF', 'd.avif', 'e.gif', 'f.pbm', 'g.pnm', 'h.dib', 'i.apng'];
    for (const name of names) await put(join('kinds', name));
    expect(await listed('kinds')).toEqual(names);
  });

  it('follows linked folders, each once, and never in circles', async () => {
    for (const name of ['pool/cats/1.jpg', 'links/z/2.jpg', 'links/3.jpg', 'chain/4.jpg']) await put(name);
    const link = (to: string, from: string) => symlink(join(root, to), join(root, from));
    await link('pool', 'links/a');
    await link('pool', 'links/again');
    await link('links', 'links/itself');
    await link('.', 'links/upwards');
    await link('links/z', 'links/b'); // the real folder is seen first, whatever the names
    await link('chain', 'pool/cats/on');
    await link('pool', 'chain/back');
    expect(await listed('links')).toEqual(['3.jpg', 'a/cats/1.jpg', 'a/cats/on/4.jpg', 'z/2.jpg']);
    expect((await scanFolder(join(root, 'links'))).skipped).toEqual([]);
  });

  it('names links that lead nowhere, and goes on', async () => {
    await put('dangling/1.jpg');
    await symlink(join(root, 'gone'), join(root, 'dangling', 'cats'));
    await symlink('x.jpg', join(root, 'dangling', 'x.jpg'));
    const { source, skipped } = await openFolder(join(root, 'dangling'));
    expect(source.files.map((file) => basename(file))).toEqual(['1.jpg']);
    expect(skipped.map(({ file, problem }) => `${basename(file)} ${problem}`).sort()).toEqual([
      'cats is a link to something that is not there',
      'x.jpg cannot be read: its links lead in a circle',
    ]);
  });

  it('goes on without a folder or a file that it may not read', async ({ skip }) => {
    await put('closed/sub/1.jpg');
    await put('closed/2.jpg');
    await put('closed/3.jpg');
    await chmod(join(root, 'closed/sub'), 0);
    await chmod(join(root, 'closed/3.jpg'), 0);
    if (process.platform === 'win32') skip('Windows has other permissions');
    const nobody = process.getuid?.() === 0; // root may read everything
    await chmod(root, 0o755);
    if (nobody) process.seteuid?.(65534);
    try {
      const { source, skipped } = await openFolder(join(root, 'closed'));
      expect(source.files.map((file) => basename(file))).toEqual(['2.jpg']);
      expect(skipped.map(({ file, problem }) => `${basename(file)} ${problem}`)).toEqual([
        'sub cannot be read: permission denied',
        '3.jpg cannot be read: permission denied',
      ]);
    } finally {
      if (nobody) process.seteuid?.(0);
      await chmod(join(root, 'closed/sub'), 0o755);
    }
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
        '(JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP, PNM); left out',
      '/some/trainB/page.png is a web page or SVG, not a picture; left out',
    ]);
    expect([countPictures(data.trainA), pictureName(data.trainB, 0)]).toEqual([1, 'ok.webp']);
    expect(countPictures(data.testA)).toBe(0);
  });

  /** The first bytes of some pictures that are not read. */
  const heic = '\0\0\0\x18ftypheic\0\0\0\0mif1heic';
  const raw = 'II*\0 and so on'; // as a TIFF begins

  it('names and counts what is certainly a picture and is not read, in one sentence a folder', async () => {
    for (const name of ['IMG_1.HEIC', 'IMG_2.HEIC', 'IMG_3.jpg', 'x.heif'])
      await put(`phone/trainA/${name}`, heic);
    await put('phone/trainA/ok.jpg');
    await put('phone/trainA/renamed.heic'); // a JPEG all the same, as its first bytes say
    await put('phone/trainB/a.CR2', raw);
    await put('phone/trainB/b.svg', '<?xml version="1.0"?>\n<svg/>');
    await put('phone/trainB/c.tif', raw);
    const told: string[] = [];
    const warn = (message: string) => told.push(message.replaceAll(`${root}/`, ''));
    const data = await openDataset(join(root, 'phone'), { warn });
    expect([countPictures(data.trainA), countPictures(data.trainB)]).toEqual([2, 1]);
    expect(told).toEqual([
      'phone/trainA: 4 files are left out: IMG_1.HEIC, IMG_2.HEIC, IMG_3.jpg and 1 more ' +
        '(HEIC: convert them to JPEG or PNG)',
      'phone/trainB: 2 files are left out: a.CR2 and b.svg (raw, SVG: convert them to JPEG or PNG)',
    ]);
    await put('phone/trainC/only.jxl', '\0\0\0\x0cJXL \r\n\x87\n');
    const { skipped } = await openFolder(join(root, 'phone/trainC'));
    expect(leftOutSentences(skipped)[0]).toMatch(
      /trainC: 1 file is left out: only\.jxl \(JPEG XL: convert it to JPEG or PNG\)$/,
    );
  });

  it('names and counts pictures whose names do not say that they are', async () => {
    await put('downloads/photo');
    await put('downloads/x.jpg_large');
    await put('downloads/sprite.bin', heic);
    await put('downloads/notes.txt', 'BMP stands for bitmap');
    await put('downloads/page.vue', '<svg class="icon">');
    const { source, skipped } = await openFolder(join(root, 'downloads'));
    expect(source.files).toEqual([]);
    expect(leftOutSentences(skipped).map((sentence) => sentence.slice(root.length + 1))).toEqual([
      'downloads: 2 files are left out: photo and x.jpg_large ' +
        '(JPEG, which their names do not say: rename them)',
      'downloads: 1 file is left out: sprite.bin (HEIC: convert it to JPEG or PNG)',
    ]);
  });

  it('refuses a data set without the pictures it needs', async () => {
    await put('half/trainA/1.jpg');
    const path = join(root, 'half');
    await expect(openDataset(path)).rejects.toThrow(`${path} has no folder trainB: a data set holds trainA`);
    await put('half/trainB/empty.jpg', '');
    await expect(openDataset(path, { warn: () => {} })).rejects.toThrow(
      /trainB holds no pictures that can be read: put some there .*\n {2}\S+empty.jpg is an empty file; /,
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
    const names = (await scanFolder(join(shared, 'formats'))).files.map((path) => basename(path));
    for (const name of ['Thumbs.db', '.DS_Store', 'directory-named.jpg', 'expected.json']) {
      expect(names).not.toContain(name);
    }
    expect(names).toContain('UPPERCASE-EXT.JPG');
  });
});
