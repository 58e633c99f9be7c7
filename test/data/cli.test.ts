import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatDuration, Progress } from '../../cli/common/progress.ts';
import { describeError, UsageError } from '../../cli/common/run.ts';
import { decodeFile } from '../../train/data/decode.ts';
import { DataError } from '../../train/data/errors.ts';
import { drawPictures } from '../train/pictures.ts';

const tsx = createRequire(import.meta.url).resolve('tsx/esm');
const cli = fileURLToPath(new URL('../../cli/data.ts', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adawn-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Starts cli/data.ts in the temporary folder, as a user would. */
const start = (args: string[]) =>
  spawn(process.execPath, ['--import', tsx, cli, ...args], { cwd: folder, stdio: 'pipe' });

function ended(child: ReturnType<typeof start>): Promise<{ code: number | null; out: string; err: string }> {
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const run = (...args: string[]) => ended(start(args));

/** Sends the signal of Ctrl-C twice, as soon as the command shows progress. */
function runInterrupted(...args: string[]) {
  const child = start(args);
  child.stderr.once('data', () => {
    child.kill('SIGINT');
    setTimeout(() => child.kill('SIGINT'), 10);
  });
  return ended(child);
}

describe('cli/data.ts', () => {
  it('draws, prepares and inspects', { timeout: 90_000 }, async () => {
    const drawn = await run('draw', 'toy', '--train', '4', '--test', '1', '--size', '32');
    expect(drawn).toMatchObject({
      code: 0,
      out: 'toy: 4 cats and 4 dogs to train, 1 and 1 to test, 32x32\n',
    });
    expect(await readdir(join(folder, 'toy/trainB'))).toEqual([
      'dog-0000.png',
      'dog-0001.png',
      'dog-0002.png',
      'dog-0003.png',
    ]);

    await mkdir(join(folder, 'toy/trainA/more'));
    await writeFile(join(folder, 'toy/trainA/more/cat-0000.jpg'), 'GIF89a and then nothing');
    await writeFile(join(folder, 'toy/trainA/IMG.HEIC'), '\0\0\0\x18ftypheic\0\0\0\0mif1heic');
    const heic = 'toy/trainA: 1 file is left out: IMG.HEIC (HEIC: convert it to JPEG or PNG)';
    const sources = ['toy/trainA', 'toy/trainB'];
    const prepared = await run('prepare', ...sources, 'mine', '--size', '16', '--test', '0.25');
    expect(prepared.code).toBe(0);
    expect(prepared.out).toContain('mine: 8 pictures of 16x16, 2 left out');
    expect(prepared.out).toMatch(/toy\/trainA\/more\/cat-0000.jpg is a damaged GIF picture .*; left out\n/);
    expect(prepared.out).toContain(heic);
    const picture = await decodeFile(
      join(folder, 'mine/testB', (await readdir(join(folder, 'mine/testB')))[0]),
    );
    expect([picture.width, picture.height]).toEqual([16, 16]);

    const inspected = await run('inspect', 'toy');
    expect(inspected.out).toContain('trainA: 4 pictures, 32x32, 2 left out\ntrainB: 4 pictures, 32x32\n');
    expect(inspected.out).toMatch(/toy\/trainA\/more\/cat-0000.jpg is a damaged GIF .*; left out\n/);
    expect(inspected.out).toContain(heic);
    expect(existsSync(join(folder, 'toy-sheet.png'))).toBe(true);
  });

  it('replaces its own work only', { timeout: 90_000 }, async () => {
    await drawPictures(join(folder, 'own'), { train: 2, test: 0, size: 16 });
    const [drawn] = await Promise.all([
      run('draw', 'own', '--train', '1'),
      run('inspect', 'own', '--examples', '1'),
    ]);
    expect(drawn.err).toBe('error: own/trainA holds 2 pictures already: choose another name or remove it\n');
    const sheet = join(folder, 'own-sheet.png');
    const before = await readFile(sheet);
    expect((await run('inspect', 'own')).code).toBe(0);
    expect((await readFile(sheet)).equals(before)).toBe(false);
    await writeFile(sheet, 'mine');
    const refused = await run('inspect', 'own');
    expect(refused.err).toMatch(
      /^error: own-sheet\.png is no contact sheet of adawn's and is kept: name another/,
    );
    expect(await readFile(sheet, 'utf8')).toBe('mine');
  });

  it('stops at Ctrl-C and goes on from there', { timeout: 90_000 }, async () => {
    await drawPictures(join(folder, 'many'), { train: 30, test: 0, size: 96 });
    const args = ['prepare', 'many/trainA', 'many/trainB', 'half', '--size', '300'];
    // As npx and tsx do, which pass on what the terminal has sent to all: the signal comes twice.
    const first = await runInterrupted(...args);
    expect([first.code, first.err]).toEqual([
      130,
      expect.stringMatching(/half: stopped, \d+ of 60 pictures are there; the same command goes on\n$/),
    ]);
    const second = await run(...args);
    expect(second.err).toMatch(/^half: going on, \d+ of 60 pictures are there\n/);
    expect(second.out).toBe('half: 60 pictures of 300x300, 0 left out\n');
  });

  it('says in one sentence what is wrong', { timeout: 90_000 }, async () => {
    const results = await Promise.all([
      run('inspect', 'nowhere'),
      run('draw'),
      run('prepare', 'one'),
      run('draw', 'x', '--size', '-3'),
      run('prepare', 'p', 'q', 'r'),
      run('prepare', 'p', 'q', 'r', '--seed', 'abc'),
      run('draw', 'x', '--seed', '1.5'),
      run('inspect', 'x', '--data-rot', 'y'),
      run('prepare', 'p', 'q', 'r', '--background', 'blurple'),
    ]);
    for (const { code, err } of results) {
      expect(code).toBe(1);
      expect(err).toMatch(/^error: /);
      expect(err).not.toMatch(/\n\s+at /);
    }
    expect(results[0].err).toContain('there is no data set "nowhere"');
    expect(results[3].err).toBe('error: --size must be a whole number of at least 8, got -3\n');
    expect(results[4].err).toBe('error: there is no folder p\n');
    expect(results[5].err).toBe('error: --seed takes a number\n');
    expect(results[6].err).toBe('error: --seed must be a whole number of at least 0, got 1.5\n');
    expect(results[7].err).toBe('error: Unknown argument: data-rot (--help shows the usage)\n');
    expect(results[8].err).toBe(
      'error: the background "blurple" is no colour: write a name such as white, or #rrggbb\n',
    );
    const help = await run('--help');
    expect([help.code, help.out.includes('inspect dataset/selfie2anime')]).toEqual([0, true]);
  });
});

describe('progress', () => {
  function record(isTTY: boolean, total = 100) {
    let time = 0;
    const written: string[] = [];
    const stream = { isTTY, columns: 100, write: (text: string) => written.push(text) };
    const progress = new Progress(total, { stream, now: () => time, label: 'train', lineSeconds: 10 });
    return { progress, written, advance: (seconds: number) => (time += seconds) };
  }

  it('prints a plain line now and then without a terminal, and the last one', () => {
    const { progress, written, advance } = record(false);
    for (let step = 1; step <= 100; step++) {
      advance(0.5);
      progress.update(step, `loss ${step}`);
    }
    expect(written[0]).toBe('train 1/100, loss 1\n');
    expect(written[2]).toBe('train 41/100, 2.00 steps/s, 30 s left, loss 41\n');
    expect(written.at(-1)).toBe('train 100/100, 2.00 steps/s, took 50 s, loss 100\n');
    expect(written).toHaveLength(6);
  });

  it('shows no rate of what took no time', () => {
    const { progress, written, advance } = record(false, 6);
    progress.update(3);
    advance(0.002);
    progress.update(6, 'loss 1');
    expect(written).toEqual(['train 3/6\n', 'train 6/6, loss 1\n']);
  });

  it('redraws one line on a terminal and keeps messages above it', () => {
    const { progress, written, advance } = record(true);
    advance(4);
    progress.update(50);
    expect(written[0]).toBe(
      `\r\x1b[K[${'#'.repeat(12)}${'.'.repeat(12)}] train 50/100, 13 steps/s, 4 s left`,
    );
    progress.log('saved');
    expect(written.slice(1, 3)).toEqual(['\r\x1b[K', 'saved\n']);
    progress.update(100);
    expect(written.at(-1)).toBe('\n');
  });

  it('writes durations and slow rates readably', () => {
    expect([42, 200, 7500, 273600].map(formatDuration)).toEqual([
      '42 s',
      '3 min 20 s',
      '2 h 05 min',
      '3 d 4 h',
    ]);
    const { progress, advance } = record(false);
    advance(25);
    progress.update(10);
    expect(progress.line()).toContain('2.50 s per step');
  });
});

describe('errors on the command line', () => {
  it('shows users a sentence and us a stack', () => {
    expect(describeError(new DataError('x.jpg is empty'))).toBe('x.jpg is empty');
    expect(describeError(new UsageError('no'))).toBe('no');
    expect(describeError(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }))).toBe(
      'ENOSPC: no space left',
    );
    expect(describeError(new TypeError('a bug'))).toMatch(/TypeError: a bug\n\s+at /);
    expect(describeError('text')).toBe('text');
  });
});
