import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ANSWER, type Hello, type Request } from './protocol.ts';

/** A framework in a process of its own. */
export interface Child {
  readonly name: string;
  ask(request: Request): Promise<{ ms?: number; hello?: Hello }>;
  alive(): boolean;
  /** Lets it end; kills it if it does not. */
  end(): Promise<void>;
}

/** Lines of its standard error that are kept for an explanation. */
const KEPT_LINES = 30;

/**
 * PyTorch's threads spin while they wait for each other. Where other work has a core, that makes two threads
 * ten times slower than one; to sleep instead costs nothing on a quiet machine.
 */
const ENVIRONMENT = { OMP_WAIT_POLICY: 'PASSIVE' };

/** What to say of a worker's error: the last line that says something, Python's and Node's alike. */
export function reasonOf(error: string): string {
  const lines = error.split('\n').filter((line) => line.trim() !== '');
  const named = lines.find((line) => /^\w*(Error|Exception)\b.*:/.test(line));
  return (named ?? lines[lines.length - 1] ?? 'no reason given').trim().slice(0, 300);
}

/** Answers of the process, one at a time; null when it has ended. */
function answers(child: ChildProcessWithoutNullStreams) {
  const waiting: ((line: string | null) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith(ANSWER)) waiting.shift()?.(line.slice(ANSWER.length));
  });
  const gone = () => {
    for (const tell of waiting.splice(0)) tell(null);
  };
  child.on('close', gone);
  child.on('error', gone);
  child.stdin.on('error', gone); // it ended while we wrote
  return () =>
    new Promise<string | null>((tell) => {
      if (child.exitCode !== null || child.signalCode !== null) tell(null);
      else waiting.push(tell);
    });
}

/** Starts a worker. `limitMs`: longest wait for one answer. */
export function startChild(name: string, command: readonly string[], limitMs: number): Child {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, ...ENVIRONMENT } });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line);
    if (said.length > KEPT_LINES) said.shift();
  });
  const next = answers(child);
  async function ask(request: Request) {
    let late = false;
    const answer = next();
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limitMs);
    const line = await answer;
    clearTimeout(timer);
    if (late) throw new Error(`no answer in ${limitMs / 1000} s`);
    if (line === null) throw new Error(`its process ended: ${reasonOf(said.join('\n'))}`);
    const reply = JSON.parse(line) as { error?: string; ms?: number; hello?: Hello };
    if (reply.error !== undefined) throw new Error(reasonOf(reply.error));
    return reply;
  }
  const alive = () => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  async function end() {
    if (!alive()) return;
    const closed = once(child, 'close');
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await closed;
    clearTimeout(timer);
  }
  return { name, ask, alive, end };
}
