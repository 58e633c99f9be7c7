import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { temporaryPath } from '../../train/formats/file.node.ts';
import { lockFolder } from '../../train/lock.ts';
import { metricsFile, rewindMetrics } from '../../train/metrics.ts';
import { changedOptions, DEFAULT_RUN, type LoopOptions, parseConfig } from '../../train/options.ts';
import { checkpointPath, claimFolder, createRun, runFolder, samplePath } from '../../train/runFolder.ts';

const base = await mkdtemp(join(tmpdir(), 'adawn-folder-'));
afterAll(() => rm(base, { recursive: true, force: true }));

const CONFIG = { ...DEFAULT_RUN, data: 'toy-cat2dog' };
let runs = 0;
let folder = runFolder(base);
let options: LoopOptions;
beforeEach(() => {
  folder = runFolder(join(base, `run${runs++}`));
  options = { out: folder.root, resume: false, stopAfter: 1, sampleEvery: 0, saveEvery: 0, keep: 1 };
});

/** Puts files into the run's folder; their content is their name where none is given. */
async function put(files: Record<string, string> | string[]): Promise<void> {
  for (const [name, text] of Array.isArray(files) ? files.map((f) => [f, f]) : Object.entries(files)) {
    await mkdir(join(folder.root, name, '..'), { recursive: true });
    await writeFile(join(folder.root, name), text);
  }
}

/** Every file below the run's folder, with its content. */
async function content(): Promise<Record<string, string>> {
  const names = await readdir(folder.root, { recursive: true, withFileTypes: true });
  const files = names.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
  const texts = await Promise.all(files.map((path) => readFile(path, 'utf8')));
  return Object.fromEntries(files.map((path, i) => [path.slice(folder.root.length + 1), texts[i]]).sort());
}

/** Begins a run in the folder as training does, and ends it. */
async function begin(more: Partial<LoopOptions> = {}, config = CONFIG): Promise<void> {
  const asked = { ...options, ...more };
  const release = await claimFolder(folder, config, asked);
  try {
    if (!asked.resume) await createRun(folder, config, asked);
  } finally {
    await release();
  }
}

const OURS = JSON.stringify(CONFIG);
const METRICS = 'step,lr,D.loss\n1,0.1,2\n6,0.1,2\n';

describe('a new run', () => {
  test.each([
    [{ 'config.json': '{"name":"my web app"}' }, /config\.json is no configuration of adawn's: choose anoth/],
    [{ 'metrics.csv': 'epoch,acc\n1,0.5\n' }, /metrics\.csv has no header of adawn's: choose another folder/],
    [{ 'config.json': OURS, 'metrics.csv': 'epoch,acc\n' }, /metrics\.csv has no header of adawn's/],
    [{ 'samples/A2B_0000010.png': 'mine' }, /A2B_0000010\.png is in the way, of no run that adawn knows/],
    [
      { 'config.json': OURS, 'checkpoints/step_0000020.safetensors': '' },
      /run\d+ holds a run already \(step 20\): continue it with --resume, or choose another folder/,
    ],
  ])('touches nothing in a folder that is not its own: %j', async (files, message) => {
    await put(files);
    const before = await content();
    await expect(begin()).rejects.toThrow(message);
    expect(await content()).toEqual(before);
  });

  test('leaves alone what it did not write', async () => {
    const mine = ['notes.tmp', 'samples/keep.tmp', 'samples/cat.png', 'checkpoints/best.pt', '.x.tmp'];
    await put(mine);
    const left = temporaryPath(folder.config);
    await writeFile(left, 'what an interrupted write leaves behind');
    await begin();
    expect(existsSync(left)).toBe(false);
    const after = await content();
    expect(Object.keys(after)).toEqual(['config.json', ...mine].sort());
    for (const name of mine) expect(after[name]).toBe(name);
  });

  test('may start over in a folder of adawn that has no checkpoint', async () => {
    await put({ 'config.json': OURS, 'metrics.csv': METRICS, 'samples/A2B_0000010.png': '' });
    await begin();
    expect(Object.keys(await content())).toEqual(['config.json', 'samples/A2B_0000010.png']);
  });

  test('that is refused leaves no folder behind', async () => {
    const release = await claimFolder(folder, CONFIG, options);
    expect(await readdir(folder.root)).toEqual(['run.lock']);
    await release();
    expect(existsSync(folder.root)).toBe(false);
  });
});

describe('a run that replaces an earlier one', () => {
  const replace = ['demo.png'];
  const files = () => [
    ...[checkpointPath(folder, 6), `${checkpointPath(folder, 4)}.damaged`, samplePath(folder, 'A2B', 6)].map(
      (path) => path.slice(folder.root.length + 1),
    ),
    'demo.png',
  ];

  test('removes what that wrote, and nothing else', async () => {
    const mine = ['samples/notes.txt', 'checkpoints/best.safetensors', 'readme'];
    await put([...files(), ...mine]);
    await put({ 'config.json': OURS, 'metrics.csv': METRICS });
    await begin({ replace });
    expect(Object.keys(await content())).toEqual(['config.json', ...mine].sort());
  });

  test('refuses one with other options, or something that is of no run', async () => {
    await put([...files(), 'samples/notes.txt']);
    await put({ 'config.json': JSON.stringify({ ...CONFIG, seed: 7 }), 'metrics.csv': METRICS });
    const before = await content();
    await expect(begin({ replace })).rejects.toThrow(/holds a run with other options \(step 6\): choose ano/);
    expect(await content()).toEqual(before);
    await rm(folder.root, { recursive: true });
    await put(['demo.png']);
    await expect(begin({ replace })).rejects.toThrow(/demo\.png is in the way/);
  });
});

describe('a continued run', () => {
  test('needs a checkpoint, and touches nothing without one', async () => {
    await put({ 'config.json': OURS, 'metrics.csv': METRICS, 'samples/A2B_0000006.png': '' });
    await mkdir(folder.checkpoints);
    const before = await content();
    await expect(begin({ resume: true })).rejects.toThrow(
      /has no checkpoint to continue from \(metrics\.csv ends at step 6\): put one back, or start anew/,
    );
    expect(await content()).toEqual(before);
  });

  test('knows its options also with a byte order mark in front of them', () => {
    expect(parseConfig(`\uFEFF${OURS}`)).toEqual(CONFIG);
  });

  test('tells which options changed; what was found or chosen is none', () => {
    const { model } = CONFIG;
    const now = { ...CONFIG, seed: 3, tuned: { a: 'b' }, dataFolder: '/x', precision: 'full' as const };
    const light = { ...now, model: { ...model, light: false, checkpointActivations: false } };
    expect(changedOptions(CONFIG, light)).toEqual([
      { name: 'seed', before: '0', now: '3' },
      { name: 'light', before: 'true', now: 'false' },
    ]);
  });
});

describe('the lock of a folder', () => {
  const lock = () => join(folder.root, 'run.lock');
  const holder = async () => JSON.parse(await readFile(lock(), 'utf8'));
  beforeEach(() => mkdir(folder.root));

  test('keeps a second trainer out until the first has ended', async () => {
    const unlock = await lockFolder(folder.root);
    await expect(lockFolder(folder.root)).rejects.toThrow(
      `${folder.root} is being trained by process ${process.pid}: wait for it, or choose another folder`,
    );
    expect(await holder()).toMatchObject({ host: hostname(), process: process.pid });
    await unlock();
    expect(await readdir(folder.root)).toEqual([]);
    await (await lockFolder(folder.root))();
    // Another process may take an empty folder away again just before it is locked.
    await rm(folder.root, { recursive: true });
    await (await lockFolder(folder.root))();
    expect(await readdir(folder.root)).toEqual([]);
  });

  test('keeps a second continuation out as well', async () => {
    await put({ 'config.json': OURS, 'checkpoints/step_0000006.safetensors': '' });
    const resume = { ...options, resume: true };
    const release = await claimFolder(folder, CONFIG, resume);
    await expect(claimFolder(folder, CONFIG, resume)).rejects.toThrow('is being trained by process');
    await release();
    await (await claimFolder(folder, CONFIG, resume))();
  });

  test.each([
    ['a process that is gone', { process: 2 ** 30 }],
    ['an earlier process of the same number', { began: 'long ago' }],
  ])('of %s is taken over', async (_, changes) => {
    const unlock = await lockFolder(folder.root);
    await writeFile(lock(), JSON.stringify({ ...(await holder()), ...changes, token: 'other' }));
    await unlock(); // it is not ours any more
    expect(await holder()).toMatchObject({ token: 'other' });
    const again = await lockFolder(folder.root);
    expect((await holder()).token).not.toBe('other');
    await again();
  });

  test('that is damaged is taken over', async () => {
    await writeFile(lock(), '');
    await (await lockFolder(folder.root))();
    expect(await readdir(folder.root)).toEqual([]);
  });

  test('is taken over also where an earlier attempt died in its midst', async () => {
    await writeFile(lock(), JSON.stringify({ host: hostname(), process: 2 ** 30, began: '', token: 'x' }));
    await writeFile(`${lock()}.takeover`, '');
    await utimes(`${lock()}.takeover`, 1, 1);
    await (await lockFolder(folder.root))();
    expect(await readdir(folder.root)).toEqual([]);
  });

  test('of another machine is respected', async () => {
    const text = JSON.stringify({ host: 'elsewhere', process: 12, began: '', token: 'x' });
    await writeFile(lock(), text);
    await expect(lockFolder(folder.root)).rejects.toThrow(
      `is being trained by process 12 on elsewhere: wait for it, choose another folder with --out, ` +
        `or delete ${lock()} if that process is gone`,
    );
    expect(await readFile(lock(), 'utf8')).toBe(text);
  });

  test('is taken over by one of many that try at once', async () => {
    for (let round = 0; round < 30; round++) {
      const gone = { host: hostname(), process: 2 ** 30, began: '', token: 'x' };
      await writeFile(lock(), round % 10 === 0 ? '' : JSON.stringify(gone));
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder.root)));
      const won = tries.flatMap((t) => (t.status === 'fulfilled' ? [t.value] : []));
      expect(won).toHaveLength(1);
      await won[0]();
      expect(await readdir(folder.root)).toEqual([]);
    }
  });
});

describe('metrics.csv', () => {
  const record = (step: number) => ({ step, lr: 0.1, losses: { 'D.loss': step / 3 } });
  const read = () => readFile(folder.metrics, 'utf8');
  beforeEach(() => mkdir(folder.root));

  test('is written later when it cannot be written now, with one warning', async () => {
    const warnings: string[] = [];
    let now = 0;
    const file = metricsFile(
      folder.metrics,
      (message) => warnings.push(message),
      () => now,
    );
    await file.steps!([record(1)]);
    const first = await read();
    await rm(folder.metrics);
    await mkdir(folder.metrics); // what is no file cannot be written, whoever asks
    for (let step = 2; step <= 4; step++) {
      now += 20_000;
      await file.steps!([record(step)]);
    }
    expect(warnings).toEqual([
      `${folder.metrics} cannot be written: is a folder; its lines are kept until it can be`,
    ]);
    await rm(folder.metrics, { recursive: true });
    await writeFile(folder.metrics, first);
    now += 20_000;
    await file.steps!([record(5)]);
    expect((await read()).split('\n').map((line) => line.split(',')[0])).toEqual([
      'step',
      '1',
      '2',
      '3',
      '4',
      '5',
      '',
    ]);
    await file.end!();
    expect(warnings).toHaveLength(1);
  });

  test('says at the end what it lacks', async () => {
    await mkdir(folder.metrics);
    const warnings: string[] = [];
    const file = metricsFile(folder.metrics, (message) => warnings.push(message));
    await file.steps!([record(1), record(2)]);
    await file.end!();
    expect(warnings[1]).toBe(`${folder.metrics} lacks the iterations 1 to 2: is a folder`);
  });

  test('loses the lines after a step, half-written ones, and no others', async () => {
    await writeFile(folder.metrics, `${METRICS}7,0.1,2\n8,0.`);
    await rewindMetrics(folder.metrics, 7);
    expect(await read()).toBe(`${METRICS}7,0.1,2\n`);
    await rewindMetrics(folder.metrics, 6);
    expect(await read()).toBe(METRICS);
  });
});
