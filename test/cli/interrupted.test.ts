import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endsOnHangup } from '../../cli/common/training.ts';
import { DEFAULT_RUN } from '../../train/options.ts';
import { inPairs, run, start, TINY_ARGS } from './process.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-interrupted-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));
const endless = (out: string) => [
  ...['--data', 'toy-cat2dog', ...TINY_ARGS, '--iterations', '100000', '--out', join(root, out)],
  ...['--sample-every', '0', '--save-every', '0'],
];
const files = (out: string) => readdir(join(root, out));

test('Ctrl-C, several times, while the driver compiles kernels', async () => {
  const env = { MESA_SHADER_CACHE_DISABLE: 'true' };
  const running = start('train', endless('compiling'), { tsx: true, env });
  await running.shows('compiling');
  for (let i = 0; i < 3; i++) {
    running.child.kill('SIGINT');
    await pause(150);
  }
  const { code, err } = await running.ended;
  expect(err).toMatch(
    /^compiling \d+ kernels\n\nstopping after the iterations under way .*\nstopped before the first step/,
  );
  expect(code).toBe(130);
  expect(await files('compiling')).toEqual(['checkpoints', 'config.json', 'samples']);
});

test('a run without a terminal survives the loss of one, keeps its folder, and needs no output', async () => {
  const running = start('train', endless('alone'));
  await running.shows(/D \d/);
  const { child } = running;
  child.kill('SIGHUP'); // what ends a session sends it to all that runs in it
  const second = await run('train', ...endless('alone'));
  expect(second.err).toContain(
    `error: ${join(root, 'alone')} is being trained by process ${child.pid}: wait`,
  );
  expect(second.code).toBe(1);
  child.stdout!.destroy();
  child.stderr!.destroy();
  child.kill('SIGTERM');
  const { code, err } = await running.ended;
  expect(err).not.toContain('stopping');
  expect(code).toBe(0);
  expect(await files('alone')).toEqual(['checkpoints', 'config.json', 'metrics.csv', 'samples']);
  expect(await files('alone/checkpoints')).toEqual([expect.stringMatching(/^step_\d{7}\.safetensors$/)]);
});

test('an error that nobody caught, or the end of the process above, has the run save', async () => {
  const script = `
    import { stopOnSignals } from './cli/common/training.ts';
    stopOnSignals().signal.addEventListener('abort', () => console.log('saving'));
    const fail = () => Promise.reject(new Error('oh'));
    setTimeout(() => process.argv[1] === 'throw' ? fail() : process.disconnect(), 50);
    setTimeout(() => {}, 500);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const outcome = (what: string) =>
    new Promise((done) => {
      const child = spawn(process.execPath, [...args, what], {
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
      });
      let said = '';
      for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text) => (said += text));
      child.on('close', (code) => done({ code, said: said.replace(/\n +at .*/g, '') }));
    });
  expect(await outcome('throw')).toEqual({ code: 1, said: '\nerror: Error: oh\nsaving\n' });
  expect(await outcome('leave')).toEqual({ code: 0, said: 'saving\n' });
});

test('only the loss of a terminal that there is ends a run', () => {
  expect(endsOnHangup([{}, { isTTY: false }, {}])).toBe(false);
  expect(endsOnHangup([{}, {}, { isTTY: true }])).toBe(true);
});

describe('the demo', () => {
  test('that has no time for a step says so, and nothing is wrong with that', async () => {
    const ended = await run('demo', '--out', join(root, 'demo'), '--minutes', '0');
    expect(ended.out).toContain('\n0 minutes were over before the first step: there is nothing to show\n');
    expect(ended.err).toBe('');
    expect(ended.code).toBe(0);
  });

  test('touches no run that is not its own, and takes minutes that there are', async () => {
    await mkdir(join(root, 'mycats', 'checkpoints'), { recursive: true });
    await writeFile(join(root, 'mycats', 'checkpoints', 'step_0000006.safetensors'), 'precious');
    await writeFile(join(root, 'mycats', 'config.json'), JSON.stringify(DEFAULT_RUN));
    const [used, ...wrong] = await inPairs(
      [
        ['--out', join(root, 'mycats')],
        ['--minutes', '-1'],
        ['--minutes', '1e9'],
      ].map((args) => () => run('demo', ...args)),
    );
    expect(used.err).toContain('mycats holds a run with other options (step 6): choose another folder with');
    for (const { err } of wrong)
      expect(err).toMatch(/^error: --minutes must be a number from 0 to \d+, got /);
    expect([used, ...wrong].map(({ code }) => code)).toEqual([1, 1, 1]);
    expect(await readdir(join(root, 'mycats'), { recursive: true })).toHaveLength(3);
  });
});
