import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/** A framework that takes part. */
export interface FrameworkSpec {
  /** For `--only` and the records. */
  readonly name: string;
  readonly title: string;
  readonly command: readonly string[];
  /** Installed from bench/peers/workers/package.json. */
  readonly npm: boolean;
}

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const node = (worker: string) => [process.execPath, '--import', 'tsx', at(`workers/${worker}`)];

/** Debian's, where there is one: another python3 may come first in the path. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

/** All of them; the results of the first one that takes part are what the others are compared with. */
export const FRAMEWORKS: readonly FrameworkSpec[] = [
  {
    name: 'pytorch',
    title: 'PyTorch, CPU',
    command: [python, at('workers/pytorch.py'), String(availableParallelism())],
    npm: false,
  },
  { name: 'adawn', title: 'adawn, WebGPU', command: node('adawn.ts'), npm: false },
  { name: 'jax-js', title: 'jax-js, WebGPU', command: node('jaxjs.mjs'), npm: true },
  { name: 'tfjs', title: 'TensorFlow.js, WebGPU', command: node('tfjs.mjs'), npm: true },
];

// The packages lie beside the workers, not here: one of them brings an old yargs.
const STAMP = at('workers/node_modules/.installed');

/** Installs what workers/package-lock.json names, once. Returns what is wrong, or null. */
export function installPeers(say: (message: string) => void): string | null {
  const lock = readFileSync(at('workers/package-lock.json'), 'utf8');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return null;
  say('first use: npm ci installs TensorFlow.js and jax-js into bench/peers/workers');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const { status, stderr } = spawnSync('npm', ['ci', ...options], {
    cwd: at('workers'),
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    const lines = (stderr ?? '').split('\n').map((line) => line.replace(/^npm (ERR!|error) ?/, '').trim());
    const why = lines.find((line) => line !== '' && !/^code |complete log|^errno|^syscall/.test(line));
    return `npm ci in bench/peers/workers failed: ${why ?? 'no reason given'}`;
  }
  writeFileSync(STAMP, lock);
  return null;
}

/** What keeps PyTorch from taking part, in one sentence; null where nothing does. */
export function pytorchMissing(): string | null {
  const { status } = spawnSync(python, ['-c', 'import torch, numpy'], { stdio: 'ignore' });
  if (status === 0) return null;
  return `${python} has no torch: as root, apt-get install python3-torch python3-numpy (or use --only)`;
}
