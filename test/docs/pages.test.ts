import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// Pages name files, and files move: every link and every path on a page must lead somewhere.

const root = fileURLToPath(new URL('../..', import.meta.url));

const markdown = (folder: string) =>
  readdirSync(join(root, folder), { recursive: folder !== '.', encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(folder, file).replaceAll('\\', '/'));

const FENCE = /^```[\s\S]*?^```$/gm;

const pages = [...markdown('.'), ...markdown('docs')].map((page) => {
  const source = readFileSync(join(root, page), 'utf8');
  return { page, source, prose: source.replace(FENCE, '') };
});

const MAX_COLUMNS = 110;

/** Pages that may be wider, and why. */
const WIDE: Record<string, string> = {
  'docs/numerics.md': 'written by test/parity/report.ts, with the name of the adapter',
};

/** What pages promise and is not there yet. */
const PENDING: string[] = [];

/** Paths of files and folders in code spans. */
const PATH = /`((?:kernels|engine|model|train|cli|bench|test|docs|\.ci)\/[\w./-]*)`/g;

/** Files that a page has its reader write: the name stands above the block. */
const madeBy = (source: string) => [...source.matchAll(/`([\w./-]+)`:\n\n```/g)].map((match) => match[1]);

const exists = (path: string) => existsSync(join(root, path));

test('links lead to files that exist', () => {
  const broken = pages.flatMap(({ page, prose }) => {
    const links = [...prose.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1]);
    const local = links.filter((link) => !/^\w+:/.test(link));
    return local.filter((link) => !exists(join(dirname(page), link))).map((link) => `${page}: ${link}`);
  });
  expect(broken).toEqual([]);
});

test('paths are those of files that exist', () => {
  const missing = pages.flatMap(({ page, source, prose }) => {
    const made = [...madeBy(source), ...PENDING];
    const paths = [...prose.matchAll(PATH)].map((match) => match[1]);
    // NAME stands for many.
    const unknown = paths.filter((path) => !/[A-Z]{4}/.test(path) && !exists(path));
    return unknown
      .filter((path) => !made.some((file) => file.startsWith(path)))
      .map((path) => `${page}: ${path}`);
  });
  expect(missing).toEqual([]);
});

test(`lines have up to ${MAX_COLUMNS} columns, but for tables and code`, () => {
  const wide = pages.flatMap(({ page, prose }) => {
    const lines = prose.split('\n').filter((line) => !/^(\||!\[| {4})/.test(line));
    return lines.some((line) => [...line].length > MAX_COLUMNS) ? [page] : [];
  });
  expect(wide.sort()).toEqual(Object.keys(WIDE).sort());
});
