import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../cli/process.ts';

// docs/new-gan.md has a GAN of one file, which is none of the project's: it must train from outside.

const PAGE = new URL('../../docs/new-gan.md', import.meta.url);
/** Lines that the page promises not to need. */
const MOST_LINES = 150;

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adawn-gan-'));
  file = join(folder, 'my-gan.ts');
  const page = await readFile(PAGE, 'utf8');
  const [, source] = /```ts file=my-gan\.ts\n([\s\S]*?)```/.exec(page)!;
  expect(source.split('\n').length).toBeLessThan(MOST_LINES);
  await writeFile(file, source);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const FLAGS = ['--size', '16', '--ch', '4', '--batch', '2', '--data', 'toy-cat2dog'];

test('the GAN of docs/new-gan.md trains, is continued, and makes pictures', async () => {
  const out = join(folder, 'run');
  const first = await run(
    'train',
    '--model',
    file,
    ...FLAGS,
    '--iterations',
    '4',
    '--stop-after',
    '2',
    '--out',
    out,
  );
  expect(first.code, first.err).toBe(0);
  expect(first.out).toContain('A small DCGAN 16x16, ch 4, batch 2 on toy-cat2dog');
  // The run knows its model; nobody has to name the file again.
  const second = await run('train', '--resume', '--out', out);
  expect(second.code, second.err).toBe(0);
  const whole = join(folder, 'whole');
  const third = await run('train', '--model', file, ...FLAGS, '--iterations', '4', '--out', whole);
  expect(third.code, third.err).toBe(0);
  const metrics = (await readFile(join(out, 'metrics.csv'), 'utf8')).trim().split('\n');
  expect(metrics[0]).toContain('D.loss');
  expect(metrics.length).toBe(5);
  for (const value of metrics.slice(1).flatMap((line) => line.split(','))) {
    expect(Number.isFinite(Number(value)), value).toBe(true);
  }
  expect(await readdir(join(out, 'samples'))).toContain('cats_0000004.png');
  const weights = (root: string) => readFile(join(root, 'samples', 'cats_0000004.png'));
  expect(await weights(out), 'continued to the bit').toEqual(await weights(whole));
  const picture = join(out, 'samples', 'cats_0000004.png');
  const into = join(folder, 'none');
  const none = await run('translate', '--weights', out, '--input', picture, '--output', into);
  expect(none.err).toMatch(/A small DCGAN, which makes pictures from noise and translates none: look at the/);
  expect(none.code).toBe(1);
});

test('--help shows its options, and a wrong one is an error of this model', async () => {
  const help = await run('train', '--model', file, '--help');
  expect(help.out).toContain('Trains A small DCGAN');
  expect(help.out).toMatch(/--ch +base channels/);
  expect(help.out).not.toContain('--n-res');
  const wrong = await run('train', '--model', file, ...FLAGS, '--n-res', '4');
  expect(wrong.code).toBe(1);
  expect(wrong.err).toMatch(/Unknown argument.*n-res/);
});
