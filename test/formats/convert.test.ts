import { copyFile, link, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../train/formats/checkpoint.ts';
import { convert } from '../../train/formats/convert.ts';
import { openSafetensors, writeSafetensors } from '../../train/formats/safetensors.node.ts';
import { inPairs, run } from '../cli/process.ts';
import { contents, fixturePath, inFolder, twinOf } from './files.ts';

const SIX = fixturePath('six.zip.pt');

describe('convert', () => {
  test('there and back again, through every format', () =>
    inFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      expect(await convert(SIX, path('a.safetensors'))).toBe(136);
      await convert(path('a.safetensors'), path('b.pt'), { legacy: true });
      await convert(path('b.pt'), path('c.pth'));
      const view = await openCheckpoint(path('c.pth'));
      expect(await contents(view)).toEqual(twinOf('six.zip.pt'));
      await view.close();
    }));

  test('drops what is not a network unless told otherwise', () =>
    inFolder(async (folder) => {
      const state = join(folder, 'state.safetensors');
      const names = ['genA2B.gap_fc.weight', 'adam.genA2B.gap_fc.weight.m', 'state.step'];
      const one = { dtype: 'F32' as const, shape: [1], read: () => Float32Array.of(1) };
      await writeSafetensors(
        state,
        names.map((name) => ({ name, ...one })),
        { step: '5' },
      );
      const written = async (name: string, options = {}) => {
        await convert(state, join(folder, name), options);
        const view = await openCheckpoint(join(folder, name));
        await view.close();
        return view.names();
      };
      expect(await written('a.pt')).toEqual(names.slice(0, 1));
      expect(await written('a.safetensors')).toEqual(names.slice(0, 1));
      expect(await written('b.safetensors', { keepAll: true })).toEqual(names);
      expect(await written('c.safetensors', { net: 'genA2B' })).toEqual(['gap_fc.weight']);
      const kept = await openSafetensors(join(folder, 'b.safetensors'));
      expect(kept.metadata).toEqual({ format: 'pt', step: '5' });
      await kept.close();
      await expect(written('d.pt', { keepAll: true })).rejects.toThrow('--keep-all');
      await expect(written('d.bin')).rejects.toThrow('must end in .pt, .pth or .safetensors');
      await expect(written('d.pt', { net: 'disLA' })).rejects.toThrow(
        /has no disLA; it .* genA2B\.gap_fc\.weight|has no disLA; it has genA2B/,
      );
    }));

  test('replaces nothing unless told so, and never the input', () =>
    inFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      const one = { name: 'genA2B.x', dtype: 'F32' as const, shape: [1], read: () => Float32Array.of(1) };
      const state = { format: 'adawn-1', step: '6' };
      await writeSafetensors(path('run.safetensors'), [one, { ...one, name: 'adam.m.genA2B.x' }], state);
      await writeFile(path('notes.pt'), 'not a checkpoint');
      await mkdir(path('folder.pt'));
      await convert(SIX, path('in.pt'));
      await symlink(path('in.pt'), path('link.pt'));
      await link(path('in.pt'), path('hard.pt'));
      const before = await Promise.all(
        ['run.safetensors', 'notes.pt', 'in.pt'].map((n) => readFile(path(n))),
      );
      const cases: [string, boolean, string][] = [
        [
          'run.safetensors',
          false,
          'exists and is a checkpoint of a run (step 6): choose another name, or repl',
        ],
        ['notes.pt', false, 'exists: choose another name, or replace it with --force'],
        ['in.pt', true, 'is the input itself: choose another name'],
        ['link.pt', true, 'is the input itself: choose another name'],
        ['hard.pt', true, 'is the input itself: choose another name'],
        ['folder.pt', true, 'is a folder: name a file in it'],
      ];
      for (const [name, force, message] of cases) {
        await expect(convert(path('in.pt'), path(name), { force })).rejects.toThrow(
          `${path(name)} ${message}`,
        );
      }
      const after = await Promise.all(['run.safetensors', 'notes.pt', 'in.pt'].map((n) => readFile(path(n))));
      expect(after).toEqual(before);
      expect(await convert(path('in.pt'), path('notes.pt'), { force: true })).toBe(136);
      expect(await readFile(path('notes.pt'))).toEqual(before[2]);
    }));

  test('the command: one line of success, one line of error with exit code 1', () =>
    inFolder(async (folder) => {
      const ran = (...args: string[]) => run('convert', ...args);
      const out = join(folder, 'g.pt');
      const checkpoints = join(folder, 'run', 'checkpoints');
      await mkdir(checkpoints, { recursive: true });
      await copyFile(fixturePath('six.safetensors'), join(checkpoints, 'step_0000003.safetensors'));
      const [one, missing, help, newest] = await inPairs([
        () => ran(SIX, out, '--net', 'genA2B'),
        () => ran(join(folder, 'no.pt'), join(folder, 'x.pt')),
        () => ran('--help'),
        () => ran(join(folder, 'run'), join(folder, 'newest.pt')),
      ]);
      expect(one).toMatchObject({ code: 0, out: `${out}: 26 tensors\n`, err: '' });
      expect(missing).toMatchObject({ code: 1, out: '' });
      expect(missing.err).toBe(`error: ${join(folder, 'no.pt')}: no such file or folder\n`);
      expect(help.out).toContain('Examples:');
      expect(newest).toMatchObject({ code: 0, out: `${join(folder, 'newest.pt')}: 136 tensors\n` });
      expect(newest.err).toMatch(/step_0000003\.safetensors is taken, the newest checkpoint in \S+run\n$/);
      const again = await ran(SIX, out);
      expect(again.err).toBe(`error: ${out} exists: choose another name, or replace it with --force\n`);
      expect((await ran(SIX, out, '--force')).out).toBe(`${out}: 136 tensors\n`);
    }));
});
