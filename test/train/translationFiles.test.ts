import { copyFile, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DataError } from '../../train/data/errors.ts';
import { writePng } from '../../train/data/png.ts';
import { drawToy } from '../../train/data/toy/draw.ts';
import { listInputs, planTargets } from '../../train/translationFiles.ts';

let root: string;
const at = (name: string) => join(root, name);
const put = async (name: string) => {
  await mkdir(join(at(name), '..'), { recursive: true });
  await writePng(at(name), drawToy('cat', 1, 8));
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-targets-'));
  for (const name of ['photos/cat.png', 'photos/sub/dog.png', 'lone.png']) await put(name);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** The plan for these inputs and this output, as names below `root`. */
async function plan(inputs: string[], output: string, options = {}): Promise<string[]> {
  const { pictures } = await listInputs(inputs.map(at));
  const targets = await planTargets(pictures, {
    output: at(output),
    heatmap: false,
    grid: false,
    ...options,
  });
  return targets.flatMap(({ picture, heatmap }) =>
    [picture, heatmap].flatMap((path) => (path ? path.slice(root.length + 1) : [])),
  );
}

describe('what is translated', () => {
  test('files and folders mixed, each picture once', async () => {
    expect(await plan(['lone.png', 'photos', 'photos/cat.png', 'photos/sub/../cat.png'], 'out')).toEqual([
      'out/lone.png',
      'out/cat.png',
      'out/sub/dog.png',
    ]);
  });

  test('names that a disk may take for one get different translations', async () => {
    await put('capitals/Cat.png');
    await writeFile(at('capitals/cat.jpg'), Uint8Array.of(0xff, 0xd8, 0xff));
    expect(await plan(['capitals', 'photos/cat.png'], 'out')).toEqual([
      'out/Cat.png',
      'out/cat.jpg.png',
      'out/cat.png.png',
    ]);
  });

  test('not what is not there, or holds no picture that is read', async () => {
    await expect(listInputs([at('photos'), at('none')])).rejects.toThrow(/--input \S+none does not exist/);
    await mkdir(at('phone'));
    await writeFile(at('phone/a.HEIC'), '\0\0\0\x18ftypheic\0\0\0\0mif1heic');
    await expect(listInputs([at('phone')])).rejects.toThrow(
      /--input \S+phone holds no pictures that can be read.*\n {2}.*1 file is left out: a\.HEIC/,
    );
  });
});

describe('no file is overwritten', () => {
  const refusal = (inputs: string[], output: string, options = {}) =>
    plan(inputs, output, options).then(
      () => '',
      (error: Error) =>
        error instanceof DataError ? error.message.replaceAll(`${root}/`, '') : String(error),
    );

  test('that is an input, however the paths lead to it', async () => {
    await symlink(at('photos'), at('linked'));
    await mkdir(at('one'));
    await symlink(at('photos/cat.png'), at('one/cat.png'));
    for (const output of ['photos', 'linked', 'photos/sub/..', 'one']) {
      expect(await refusal(['photos'], output), output).toBe(
        `--output ${output === 'photos/sub/..' ? 'photos' : output} would overwrite photos/cat.png, ` +
          'an input: choose another folder',
      );
    }
    expect(await refusal(['linked'], 'photos')).toContain('would overwrite linked/cat.png, an input');
  });

  test('but those of an earlier translation, wherever they came from', async () => {
    await mkdir(at('done'));
    await writePng(at('done/cat.png'), drawToy('dog', 1, 8), 'translation');
    await mkdir(at('copied'));
    await copyFile(at('done/cat.png'), at('copied/cat.png'));
    for (const output of ['done', 'copied']) expect(await refusal(['photos'], output)).toBe('');
    await put('mine/cat.png'); // adawn's too, but no translation: a prepared picture, say
    await writeFile(at('mine/grid.png'), 'notes');
    await mkdir(at('mine/cat.heatmap.png'));
    const kept = ' and is kept: choose another --output, or move it away';
    expect(await refusal(['photos'], 'mine')).toBe(`mine/cat.png is no translation that adawn wrote${kept}`);
    expect(await refusal(['photos'], 'mine', { heatmap: true, grid: true })).toBe(
      `mine/grid.png is no translation that adawn wrote (nor are 2 others)${kept}`,
    );
    await mkdir(at('hard'));
    await link(at('photos/cat.png'), at('hard/cat.png'));
    expect(await refusal(['photos'], 'hard')).toContain('hard/cat.png is no translation');
  });

  test('and a file is no folder', async () => {
    expect(await refusal(['photos'], 'lone.png')).toBe('--output lone.png is a file: choose a folder');
    expect(await refusal(['photos'], 'lone.png/x')).toBe(
      '--output lone.png/x cannot be used: part of the path is not a folder',
    );
  });
});
