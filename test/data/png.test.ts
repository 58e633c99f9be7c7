import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeFile } from '../../train/data/decode.ts';
import { nameKey } from '../../train/data/names.ts';
import { isMarked, isNameRefused, writePng } from '../../train/data/png.ts';
import { drawToy } from '../../train/data/toy/draw.ts';
import { isTemporary, temporaryPath, writeAtomically } from '../../train/formats/file.node.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-png-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('temporary names', () => {
  it('let a name be written that just fits', async () => {
    const picture = `${'猫'.repeat(83)}ab.png`; // 255 bytes, the most that nearly every file system allows
    await writePng(join(root, picture), drawToy('cat', 1, 8));
    const file = 'x'.repeat(255);
    await writeAtomically(join(root, file), (to) => to.write(Buffer.from('x')));
    expect((await readdir(root)).sort()).toEqual([file, picture]);
  });

  it('are told from those of other programs', async () => {
    const path = temporaryPath(join(root, 'a.png'));
    await writeFile(path, '');
    expect(isTemporary(basename(path))).toBe(true);
    for (const other of ['notes.tmp', '.a.png.tmp', 'x.adawn-0123456789ab.tmp', '.adawn-notes.tmp']) {
      expect(isTemporary(other), other).toBe(false);
    }
  });
});

describe('the mark of a PNG file', () => {
  const at = (name: string) => join(root, name);

  it('proves what adawn wrote, wherever the file goes', async () => {
    await writePng(at('made.png'), drawToy('cat', 1, 16), 'translation');
    await copyFile(at('made.png'), at('copied and renamed.png'));
    expect(await isMarked(at('copied and renamed.png'), 'translation')).toBe(true);
    expect(await isMarked(at('made.png'), 'contact sheet')).toBe(false);
    await writePng(at('plain.png'), drawToy('cat', 1, 16));
    expect(await isMarked(at('plain.png'), 'translation')).toBe(false);
    for (const other of ['none.png', '.']) expect(await isMarked(at(other), 'translation')).toBe(false);
    // It is a proper chunk: libpng reads the file, and finds the text.
    const { comments } = await sharp(at('made.png')).metadata();
    expect(comments?.[0]).toMatchObject({
      keyword: 'adawn',
      text: expect.stringMatching(/^translation, unch/),
    });
    expect((await decodeFile(at('made.png'))).data).toEqual((await decodeFile(at('plain.png'))).data);
  });

  it('proves nothing of a picture that was edited, though its texts were kept', async () => {
    const bytes = await readFile(at('made.png'));
    for (const place of [40, 60, bytes.length - 30]) {
      const edited = Buffer.from(bytes);
      edited[place] ^= 1;
      await writeFile(at('edited.png'), edited);
      expect(await isMarked(at('edited.png'), 'translation'), `byte ${place}`).toBe(false);
    }
    await sharp(at('made.png')).keepMetadata().negate().png().toFile(at('negative.png'));
    expect(await isMarked(at('negative.png'), 'translation')).toBe(false);
    await writeFile(at('cut.png'), bytes.subarray(0, 45));
    expect(await isMarked(at('cut.png'), 'translation')).toBe(false);
  });
});

describe('names', () => {
  it('are alike where some file system takes them for one file', () => {
    for (const [a, b] of [
      ['Cat.png', 'cAT.PNG'],
      ['caf\u00e9', 'cafe\u0301'],
      ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
    ]) {
      expect(nameKey(a), `${a} ${b}`).toBe(nameKey(b));
    }
    expect(nameKey('Straße')).not.toBe(nameKey('Strasse'));
  });

  it('that the disk refuses are told from a disk that does', async () => {
    const refusal = (path: string) => writePng(path, drawToy('cat', 1, 8)).catch((error: unknown) => error);
    expect(isNameRefused(await refusal(join(root, `${'x'.repeat(252)}.png`)))).toBe(true);
    await writeFile(join(root, 'file'), '');
    expect(isNameRefused(await refusal(join(root, 'file', 'x.png')))).toBe(false);
  });
});
