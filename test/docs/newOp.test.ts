import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// docs/new-op.md is followed to the letter, in a copy of the repository: its files are written, its lines are
// put into files that are there, and its commands must succeed.

const root = fileURLToPath(new URL('../..', import.meta.url));
const guide = readFileSync(join(root, 'docs/new-op.md'), 'utf8');

interface Block {
  /** What the fence says the block is written in. */
  readonly language: string;
  readonly text: string;
  /** The file whose name stands above it; null for commands. */
  readonly file: string | null;
}

const blocks: Block[] = [...guide.matchAll(/(?:`([\w./-]+)`:\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, file, language, text]) => ({ language, text, file: file ?? null }),
);

/** Runs of equal marks of a diff: ' ' there already, '-' to go, '+' to come. */
function runsOf(diff: string): { mark: string; lines: string[] }[] {
  const runs: { mark: string; lines: string[] }[] = [];
  for (const line of diff.trimEnd().split('\n')) {
    const [mark, rest] = [line[0], line.slice(1)];
    const last = runs[runs.length - 1];
    if (last?.mark === mark) last.lines.push(rest);
    else runs.push({ mark, lines: [rest] });
  }
  return runs;
}

/** Where a line is; it must be there, once. */
function only(lines: readonly string[], wanted: string, file: string): number {
  const places = lines.flatMap((line, i) => (line === wanted ? [i] : []));
  if (places.length === 1) return places[0];
  throw new Error(`docs/new-op.md: ${file} has ${places.length} lines "${wanted}"`);
}

/** Puts new lines behind the line before them, or before the one that follows. */
function applyDiff(text: string, diff: string, file: string): string {
  const lines = text.split('\n');
  const runs = runsOf(diff);
  let at = -1;
  runs.forEach(({ mark, lines: run }, i) => {
    if (mark === '+') {
      if (at < 0) at = only(lines, runs[i + 1].lines[0], file);
      lines.splice(at, 0, ...run);
      at += run.length;
      return;
    }
    at = only(lines, run[0], file);
    for (const [k, line] of run.entries()) expect(lines[at + k], `${file} in docs/new-op.md`).toBe(line);
    if (mark === '-') lines.splice(at, run.length);
    else at += run.length;
  });
  return lines.join('\n');
}

/** The copy that the guide is followed in. */
let copy = '';

/** The repository without what git ignores, and with the packages of this one. */
function copyRepository(to: string): void {
  const skipped = ['node_modules', '.git', '.cache', 'dataset', 'results', 'golden'];
  cpSync(root, to, {
    recursive: true,
    filter: (path) => !skipped.includes(path.slice(root.length).split(/[\\/]/).at(-1)!),
  });
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'), 'junction');
}

/** A command of the guide as a reader would run it, without what this run of vitest told its processes. */
function shell(command: string) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV)/.test(name)),
  );
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd: copy,
    env: { ...env, NO_COLOR: '1' },
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return { status, output: stdout + stderr };
}

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'adawn-new-op-'));
  copyRepository(copy);
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

describe('docs/new-op.md', () => {
  test('has files to write and lines that fit into others', () => {
    for (const { file, language, text } of blocks) {
      if (file === null) continue;
      const path = join(copy, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, language === 'diff' ? applyDiff(readFileSync(path, 'utf8'), text, file) : text);
    }
    const made = blocks.filter(({ language }) => /^(ts|wgsl)$/.test(language));
    const lines = made.flatMap(({ text }) => text.split('\n'));
    expect(lines.filter((line) => line.length > 110)).toEqual([]);
    expect(made.map(({ file }) => file).sort()).toEqual([
      'engine/ops/scale.ts',
      'kernels/scale/backwardFactor.wgsl',
      'kernels/scale/main.wgsl',
      'kernels/scale/naive.wgsl',
      'test/cases/scale.ts',
    ]);
  });

  const commands = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.trim().split('\n'));

  test.each(commands)('%s', (command) => {
    const { status, output } = shell(command);
    expect(status, output).toBe(0);
    // With nothing to do a command succeeds, too.
    const passed = Number(output.match(/^(\d+) passed, 0 failed/m)?.[1]);
    if (command.includes('vitest')) expect(passed).toBeGreaterThan(4);
    if (command.includes('bench')) expect(output.match(/^scale_\w+ .* naive /gm)).toHaveLength(2);
  });
});
