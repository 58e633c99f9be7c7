import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The `tsx` command, which users start our commands with, and what Node imports instead of it. */
const { resolve } = createRequire(import.meta.url);
const TSX = resolve('tsx/cli');
const LOADER = pathToFileURL(resolve('tsx')).href;

/** A command that ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard error has shown this, rejects when the command ends before. */
  shows(text: string | RegExp): Promise<void>;
}

export interface StartOptions {
  readonly env?: Record<string, string>;
  /** Start it with the tsx command, as users do, instead of the quicker `node --import tsx`. */
  readonly tsx?: boolean;
  /** Working folder; default the project's. */
  readonly cwd?: string;
}

/** Starts `cli/NAME.ts`. */
export function start(name: string, args: readonly string[], options: StartOptions = {}): Running {
  const script = `${root}cli/${name}.ts`;
  const command = options.tsx ? [TSX, script] : ['--import', LOADER, script];
  const env = { ...process.env, NO_COLOR: '1', ...options.env };
  const { cwd = root } = options;
  const child = spawn(process.execPath, [...command, ...args], { cwd, env, stdio: 'pipe' });
  let [out, err] = ['', ''];
  child.stdout!.on('data', (chunk) => (out += chunk));
  child.stderr!.on('data', (chunk) => (err += chunk));
  const ended = new Promise<Ended>((done, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      done({ code, signal, out, err: options.tsx ? err : withoutDawn(err) }),
    );
  });
  const shows = (text: string | RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => (typeof text === 'string' ? err.includes(text) : text.test(err)) && resolve();
      child.stderr!.on('data', look);
      look();
      ended.then(
        (e) => reject(new Error(`ended (${e.code}) without showing ${text}:\n${e.out}${e.err}`)),
        reject,
      );
    });
  return { child, ended, shows };
}

/** Runs `cli/NAME.ts` to its end. */
export function run(name: string, ...args: string[]): Promise<Ended> {
  return start(name, args).ended;
}

/** Dawn's own remarks on lavapipe's limits, which users do not see: a process between leaves them out. */
const withoutDawn = (text: string) => text.replace(/^Warning: maxDynamic.*\n/gm, '');

/** Runs what is given, two at a time: there may be two cores only. */
export async function inPairs<T>(work: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < work.length; i = next++) results[i] = await work[i]();
  };
  await Promise.all([worker(), worker()]);
  return results;
}

/** The options of the smallest model. */
export const TINY_ARGS = '--size 32 --ch 4 --n-res 1 --dis-layers 4,3 --threads 1 --tune off'.split(' ');
