/**
 * Import this first in a command that uses a GPU. The `tsx` command kills its process when that does not
 * answer a signal within 60 ms, which a process that trains cannot promise. So under `tsx` the command runs
 * once more in a process of its own, and this one only waits for it, passes signals on, and hands on what it
 * says.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { withoutRemarks } from './remarks.ts';

const MARK = 'ADAWN_SUPERVISED';

/** Node's options without the file through which tsx listens to its process. */
function ownOptions(): string[] {
  const at = process.execArgv.findIndex((word) => /[\\/]tsx[\\/].*preflight/.test(word));
  return at < 0 ? process.execArgv : process.execArgv.toSpliced(at - 1, 2);
}

/** What the mark says of the standard error of this process, which that of the command only leads to. */
const terminal = () => (process.stderr.isTTY ? `terminal ${process.stderr.columns}` : 'no terminal');

function supervise(options: string[]): Promise<number> {
  const child = spawn(process.execPath, [...options, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'pipe', 'ipc'],
    env: { ...process.env, [MARK]: terminal() },
  });
  process.stderr.on('error', () => {}); // a terminal that is gone is no reason to end
  const filter = withoutRemarks((text) => process.stderr.write(text));
  child.stderr!.on('data', (chunk: Buffer) => filter.write(chunk));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      filter.end();
      resolve(code ?? 128 + constants.signals[signal!]);
    });
  });
}

/** Has the standard error of the command look like the one that it leads to. */
function pretend(mark: string): void {
  const columns = /^terminal (\d+)/.exec(mark);
  if (!columns) return;
  Object.defineProperty(process.stderr, 'isTTY', { value: true });
  // Standard output, if it is a terminal itself, follows a change of the window.
  const get = () => process.stdout.columns ?? Number(columns[1]);
  Object.defineProperty(process.stderr, 'columns', { get });
}

const options = ownOptions();
const mark = process.env[MARK];
if (mark !== undefined) {
  pretend(mark);
  delete process.env[MARK]; // whom this process starts is not supervised
} else if (options !== process.execArgv) process.exit(await supervise(options));
