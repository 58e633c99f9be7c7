/**
 * Import this first in a command that must end cleanly on Ctrl-C. The `tsx` command kills its process when
 * that does not answer a signal within 60 ms, which a process that trains cannot promise. So under `tsx` the
 * command runs once more in a process of its own, and this one only waits for it and passes signals on.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const MARK = 'ADAWN_SUPERVISED';

/** Node's options without the file through which tsx listens to its process. */
function ownOptions(): string[] {
  const at = process.execArgv.findIndex((word) => /[\\/]tsx[\\/].*preflight/.test(word));
  return at < 0 ? process.execArgv : process.execArgv.toSpliced(at - 1, 2);
}

function supervise(options: string[]): Promise<number> {
  const child = spawn(process.execPath, [...options, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [MARK]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  });
}

const options = ownOptions();
if (options !== process.execArgv && !process.env[MARK]) process.exit(await supervise(options));
