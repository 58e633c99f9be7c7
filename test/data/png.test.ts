import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePng } from '../../train/data/png.ts';
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
