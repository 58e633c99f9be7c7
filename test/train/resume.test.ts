import { copyFile, cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ended, run, start, TINY_ARGS } from '../cli/process.ts';

const ITERATIONS = 12;
const LAST = `step_${String(ITERATIONS).padStart(7, '0')}.safetensors`;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-resume-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const options = (out: string, saveEvery: number) => [
  ...['--data', 'toy-cat2dog', ...TINY_ARGS, '--iterations', `${ITERATIONS}`, '--out', join(root, out)],
  ...['--sample-every', '0', '--save-every', `${saveEvery}`, '--keep', '20'],
];
const resume = (out: string) => ['--resume', '--threads', '1', '--tune', 'off', '--out', join(root, out)];
const checkpoint = (out: string, name = LAST) => join(root, out, 'checkpoints', name);
const metrics = (out: string) => readFile(join(root, out, 'metrics.csv'), 'utf8');

function expectGood({ code, err }: Ended): void {
  expect(err).not.toMatch(/^error:/m);
  expect(code).toBe(0);
}

/**
 * The run `out` has the same last checkpoint, to the bit, and the same metrics as the one that was not
 * interrupted.
 */
async function expectSameAsWhole(out: string): Promise<void> {
  const [found, whole] = await Promise.all([readFile(checkpoint(out)), readFile(checkpoint('whole'))]);
  expect(found.equals(whole), `${out}: the last checkpoint differs`).toBe(true);
  expect(await metrics(out)).toBe(await metrics('whole'));
}

describe('a run that is interrupted ends as one that is not', () => {
  beforeAll(async () => {
    expectGood(await run('train', ...options('whole', 4)));
  });

  test.concurrent('--stop-after, then --resume, kill -9 at a random moment, and --resume again', async () => {
    // Recomputing changes no number, so that a continuation may do without.
    const first = await run(
      'train',
      ...options('killed', 1),
      '--stop-after',
      '3',
      '--checkpoint-activations',
    );
    expectGood(first);
    expect(first.out).toContain('continue with: npx tsx cli/train.ts --resume --out');
    expect((await metrics('killed')).trimEnd().split('\n')).toHaveLength(1 + 3);
    const second = start('train', [...resume('killed'), '--no-checkpoint-activations']);
    await second.shows(/D \d/);
    await new Promise((wake) => setTimeout(wake, Math.random() * 500));
    second.child.kill('SIGKILL');
    await second.ended;
    expectGood(await run('train', ...resume('killed')));
    await expectSameAsWhole('killed');
    const left = await readdir(join(root, 'killed', 'checkpoints'));
    expect(left.filter((name) => !/^step_\d{7}\.safetensors$/.test(name))).toEqual([]);
  });

  test.concurrent('Ctrl-C under the tsx command saves and ends cleanly', async () => {
    const running = start('train', options('ctrlc', 0), { tsx: true });
    await running.shows(/D \d/);
    running.child.kill('SIGINT');
    const ended = await running.ended;
    expectGood(ended);
    const step = Number(/step (\d+)/.exec(ended.out)![1]);
    expect(await readdir(join(root, 'ctrlc', 'checkpoints'))).toHaveLength(1);
    expect((await metrics('ctrlc')).trimEnd().split('\n')).toHaveLength(1 + step);
    if (step < ITERATIONS) expect(ended.err).toContain('stopping after the iterations under way');
    expectGood(await run('train', ...resume('ctrlc')));
    await expectSameAsWhole('ctrlc');
  });

  test('a damaged newest checkpoint and config.json: older ones serve, with a warning', async () => {
    await cp(join(root, 'whole'), join(root, 'damaged'), { recursive: true });
    await truncate(checkpoint('damaged'), 40_000);
    await writeFile(join(root, 'damaged', 'config.json'), '{"data": "toy');
    const ended = await run('train', ...resume('damaged'));
    expectGood(ended);
    expect(ended.err).toContain(
      `${join(root, 'damaged', 'config.json')} is damaged: the run's options were taken`,
    );
    expect(ended.err).toMatch(
      new RegExp(
        String.raw`warning: \S+step_0000012\.safetensors: .*truncated.*` +
          String.raw`renamed to step_0000012\.safetensors\.damaged; going on from \S+step_0000008`,
      ),
    );
    await expectSameAsWhole('damaged');
  });

  test('a run that is complete says so and changes nothing', async () => {
    await copyFile(checkpoint('whole'), join(root, 'before'));
    const ended = await run('train', ...resume('whole'));
    expectGood(ended);
    expect(ended.out).toContain(`step ${ITERATIONS}, done`);
    expect(ended.err).not.toContain('compiling');
    expect((await readFile(checkpoint('whole'))).equals(await readFile(join(root, 'before')))).toBe(true);
  });

  test('only damaged checkpoints: an error that names them, and nothing is lost', async () => {
    for (const name of await readdir(join(root, 'damaged', 'checkpoints'))) {
      await truncate(checkpoint('damaged', name), 100);
    }
    const { code, err } = await run('train', ...resume('damaged'));
    expect(code).toBe(1);
    expect(err).toMatch(/error: \S+step_0000012\.safetensors: .*\nno older checkpoint can be used either/);
    expect(await readdir(join(root, 'damaged', 'checkpoints'))).toContain(LAST);
  });
});
