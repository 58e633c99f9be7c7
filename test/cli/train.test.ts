import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawPictures } from '../train/pictures.ts';
import { type Ended, inPairs, run, start, TINY_ARGS } from './process.ts';

const SIX = fileURLToPath(new URL('../formats/fixtures/six.safetensors', import.meta.url));
const TOY = ['--data', 'toy-cat2dog'];

let root: string;
let data: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-cli-train-'));
  data = join(root, 'data');
  await drawPictures(data, { train: 3, test: 2, size: 32 });
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** One clear sentence on standard error, exit code 1, nothing that looks like a crash. */
function expectError({ code, out, err }: Ended, message: string | RegExp): void {
  const error = /^error: [\s\S]*/m.exec(err)?.[0] ?? `no error: ${out}${err}`;
  expect(error).toMatch(message);
  expect(error).not.toMatch(/\n\s+at |node:internal|undefined|NaN\b/);
  expect(code).toBe(1);
}

/** Runs each list of arguments and compares the error with what is expected. */
async function expectErrors(cases: readonly [args: string[], message: string | RegExp][]): Promise<void> {
  const ended = await inPairs(
    cases.map(
      ([args]) =>
        () =>
          run('train', ...args),
    ),
  );
  cases.forEach(([, message], i) => {
    expectError(ended[i], message);
  });
}

describe('wrong arguments', () => {
  test('are named, with the way out', async () => {
    await expectErrors([
      [[], '--data is missing: --data toy-cat2dog needs no pictures'],
      [[...TOY, '--size', '63'], '--size must be a multiple of 4, got 63: use --size 64'],
      [
        [...TOY, '--size', '64'],
        '--size 64 is too small for a discriminator of 7 layers: ' +
          'use --size 96 or more, or lower --dis-layers (at most 6',
      ],
      [[...TOY, '--ch', '0'], '--ch must be a whole number of at least 1, got 0'],
      [[...TOY, '--batch', '0'], '--batch must be a whole number of at least 1, got 0'],
      [[...TOY, '--n-res', '-1'], '--n-res must be a whole number of at least 0, got -1'],
      [[...TOY, '--dis-layers', '7;5'], '--dis-layers takes two whole numbers such as 7,5, got "7;5"'],
      [[...TOY, '--dis-layers', '2,5'], '--dis-layers: a discriminator needs at least 3 layers, got 2'],
      [[...TOY, '--siez', '96'], 'Unknown argument: siez (--help shows the usage)'],
      [[...TOY, '--lr', 'fast'], '--lr takes a number'],
      [[...TOY, '--size', '--ch', '4'], '--size needs a value'],
      [[...TOY, '--ch', '4', '--ch', '8'], '--ch is given twice'],
      [[...TOY, '--model', 'a.ts', '--model', 'b.ts'], '--model is given twice'],
      [[...TOY, '--light', '--full'], 'choose one of --light and --full'],
    ]);
  });
});

describe('data', () => {
  test('that is missing: three lines of help', async () => {
    const ended = await run('train', '--data', 'cat2dog', '--data-root', join(root, 'none'));
    expectError(ended, 'there is no data set "cat2dog"');
    const lines = ended.err.slice(ended.err.indexOf('error:')).trimEnd().split('\n').slice(1);
    expect(lines).toHaveLength(3);
    expect(lines.join('\n')).toMatch(/get it: .*\n.*your own pictures: .*prepare.*\n.*toy-cat2dog/);
  });

  test('with an empty domain, a missing one, or one without a readable picture', async () => {
    for (const name of ['empty', 'half', 'bad']) await mkdir(join(root, name, 'trainA'), { recursive: true });
    for (const name of ['empty', 'bad']) await mkdir(join(root, name, 'trainB'));
    for (const name of ['empty', 'half', 'bad']) {
      await copyFile(join(data, 'trainA', 'cat-0000.png'), join(root, name, 'trainA', 'cat.png'));
    }
    await copyFile(join(data, 'trainB', 'dog-0000.png'), join(root, 'bad', 'trainB', 'dog.png'));
    await truncate(join(root, 'bad', 'trainB', 'dog.png'), 200);
    const args = (name: string) => ['--data', join(root, name), ...TINY_ARGS, '--out', join(root, 'run')];
    await expectErrors([
      [args('empty'), /trainB holds no pictures: put some there \(\.jpg/],
      [args('half'), /half has no folder trainB: a data set holds trainA, trainB/],
      [args('bad'), /none of the pictures in \S+trainB can be read/],
    ]);
  });

  test('with unreadable pictures: each reported once, by name, and left out', async () => {
    await writeFile(join(data, 'trainA', 'page.jpg'), '<!doctype html><html>not found</html>');
    await copyFile(join(data, 'trainB', 'dog-0000.png'), join(data, 'trainB', 'cut.png'));
    await truncate(join(data, 'trainB', 'cut.png'), 300);
    await copyFile(join(data, 'testA', 'cat-0000.png'), join(data, 'testA', 'cut.png'));
    await truncate(join(data, 'testA', 'cut.png'), 300);
    const out = join(root, 'unreadable');
    const ended = await run('train', '--data', data, ...TINY_ARGS, '--iterations', '8', '--out', out);
    expect(ended.code).toBe(0);
    for (const name of ['trainA/page.jpg', 'trainB/cut.png', 'testA/cut.png']) {
      const lines = ended.err.split('\n').filter((line) => line.includes(name));
      expect(lines, `reports of ${name} in:\n${ended.err}`).toHaveLength(1);
      expect(lines[0]).toMatch(/^warning: /);
    }
    const rows = (await readFile(join(out, 'metrics.csv'), 'utf8')).trimEnd().split('\n');
    expect(rows).toHaveLength(1 + 8);
  });

  test('of which one sees through some: over the background that was asked for', async () => {
    const draw = async (name: string, background: string) => {
      for (const folder of ['trainA', 'trainB']) {
        await mkdir(join(root, name, folder), { recursive: true });
        const create = { width: 32, height: 32, channels: 4, background } as const;
        await sharp({ create })
          .png()
          .toFile(join(root, name, folder, 'one.png'));
      }
    };
    await draw('clear', '#12345600');
    await draw('painted', '#ff8000');
    const losses = async (name: string, ...more: string[]) => {
      const out = join(root, `run-${name}`);
      const args = ['--data', join(root, name), ...TINY_ARGS, '--iterations', '1', '--out', out, ...more];
      const ended = await run('train', ...args);
      expect(ended.code, ended.err).toBe(0);
      const [head, row] = (await readFile(join(out, 'metrics.csv'), 'utf8')).split('\n');
      return row.split(',').filter((_, i) => /loss|cycle|identity/i.test(head.split(',')[i]));
    };
    const over = await losses('clear', '--background', '#ff8000');
    expect(over.length).toBeGreaterThan(0);
    expect(over).toEqual(await losses('painted'));
    const wrong = await run('train', '--data', join(root, 'clear'), ...TINY_ARGS, '--background', 'blurple');
    expectError(wrong, '"blurple" is no colour');
  });
});

describe('folders and files of a run', () => {
  test('that exists, or does not, or cannot be', async () => {
    const used = join(root, 'used');
    await mkdir(join(used, 'checkpoints'), { recursive: true });
    await writeFile(join(used, 'checkpoints', 'step_0000020.safetensors'), '');
    await writeFile(join(root, 'file'), '');
    await mkdir(join(root, 'broken'));
    await writeFile(join(root, 'broken', 'config.json'), '{"model": {}}');
    const args = (out: string) => [...TOY, ...TINY_ARGS, '--out', out];
    await expectErrors([
      [args(used), `${used} holds a run already (step 20): continue it with --resume, or choose another`],
      [
        ['--resume', '--out', join(root, 'none')],
        /none holds no run to continue: start one without --resume/,
      ],
      [['--resume', '--out', join(root, 'broken')], /config\.json is damaged, and no checkpoint tells/],
      [
        args(join(root, 'file', 'run')),
        /cannot write to \S+run: part of the path is not a folder; choose ano/,
      ],
      [args('/proc/run'), /cannot write to \/proc\/run: .*; choose another folder with --out/],
    ]);
  });

  test('to start from: garbage, truncated, of another architecture, absent', async () => {
    await writeFile(join(root, 'garbage.pt'), 'these are no weights');
    await copyFile(SIX, join(root, 'cut.safetensors'));
    await truncate(join(root, 'cut.safetensors'), 3000);
    let runs = 0;
    const args = (file: string) => [
      ...[...TOY, ...TINY_ARGS, '--init', file],
      ...['--out', join(root, `init${runs++}`)],
    ];
    await expectErrors([
      [
        args(join(root, 'garbage.pt')),
        /garbage\.pt: not a checkpoint: neither PyTorch \(\.pt\) nor safetensors/,
      ],
      [args(join(root, 'cut.safetensors')), /cut\.safetensors: .*truncated/],
      [args(SIX), /six\.safetensors does not fit the model[\s\S]*these options would fit: --/],
      [args(join(root, 'absent.pt')), /absent\.pt: no such file or folder/],
    ]);
  });
});

test('a model that does not fit into memory: said at once, with options that fit', async () => {
  const ended = await run('train', ...TOY, '--full', '--size', '1024', '--out', join(root, 'huge'));
  expectError(ended, /these fit: .*--size \d+ \(.* GiB\)|the GPU is out of memory/);
  expect(ended.err).not.toContain('compiling');
});

test('an adapter that does not exist: those that do are named', async () => {
  expectError(
    await run('train', ...TOY, '--adapter', 'voodoo2'),
    /no adapter matching "voodoo2" found: give a part of ".+", or none for the best one/,
  );
});

test('a run goes on from another working folder, with its pictures written another way', async () => {
  await drawPictures(join(root, 'dataset', 'cats'), { train: 2, test: 1, size: 32 });
  const out = join(root, 'wandering');
  const every = ['--sample-every', '0', '--save-every', '0', '--stop-after', '1'];
  const step = async (cwd: string, ...args: string[]) => {
    const ended = await start('train', [...every, '--out', out, ...args], { cwd }).ended;
    expect(ended.err).not.toMatch(/error|warning/);
    expect(ended.code).toBe(0);
  };
  await step(root, '--data', 'cats', ...TINY_ARGS);
  await step(tmpdir(), '--resume', '--threads', '1');
  await step(join(root, 'dataset'), '--resume', '--threads', '1', '--data', './../dataset/cats/');
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
  expect(config).toMatchObject({ data: 'cats', dataFolder: await realpath(join(root, 'dataset', 'cats')) });
});
