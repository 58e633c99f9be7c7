import type { AssumptionName } from './assumptions.ts';
import type { Estimate } from './estimate.ts';

/** Billions; nothing for none. */
export const giga = (n: number) => (n === 0 ? '' : n < 5e8 ? '<1' : (n / 1e9).toFixed(n < 1e10 ? 1 : 0));

/** Milliseconds. */
export const ms = (n: number) => n.toFixed(n >= 9.995 ? 1 : n >= 0.0995 || n === 0 ? 2 : 3);

export const percent = (share: number) => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;

export const times = (ratio: number) => (ratio > 99.5 ? '>99' : ratio.toFixed(1));

export const shortened = (text: string, most: number) =>
  text.length <= most ? text : `${text.slice(0, most - 1)}…`;

/** A table whose first column is text and the others numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)];
}

/** Shapes a launch writes, and behind an arrow those it reads; each once, without tables of sizes. */
function shapesOf({ launch: { bindings, writes } }: Estimate): string {
  const shapes = (written: boolean) => [
    ...new Set(
      bindings
        .filter((tensor, i) => writes[i] === written && tensor.label !== 'integers')
        .map(({ shape }) => shape.join('x')),
    ),
  ];
  const results = shapes(true);
  const read = shapes(false).filter((shape) => !results.includes(shape));
  return [...results, '<-', ...read].join(' ');
}

/** A launch in one column of a table. */
export const titleOf = (estimate: Estimate, most: number) =>
  shortened(`${estimate.launch.label}  ${shapesOf(estimate)}`, most);

const WHY: Readonly<Partial<Record<AssumptionName, string>>> = {
  bandwidth: 'memory',
  cacheGbps: 'cache',
  memoryUs: 'loads',
  cacheUs: 'loads',
  gapUs: 'gap',
};

/** What a launch's time is made of, in two words. */
export function why({ bound, rounds }: Estimate): string {
  if (rounds && bound === 'unaligned') return `${rounds.size}, single`;
  return rounds && bound === 'roundUs' ? `${rounds.size}, few` : (WHY[bound] ?? bound);
}
