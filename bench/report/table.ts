import type { Result } from '../types.ts';

const HEAD = [
  'case',
  'pass',
  'variant',
  'ms',
  'spread',
  'GFLOP/s',
  'GB/s',
  'of ceiling',
  'naive ms',
  'speedup',
];
const WIDTHS = [28, 14, 11, 10, 7, 8, 7, 10, 10, 8];

/** A number with three digits, or more in front of the point. */
export function digits(value: number | null): string {
  if (value === null) return '';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const percent = (value: number | null) =>
  value === null ? '' : `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;

/** Cells of a result, in the order of the table's head. */
export function cellsOf(r: Result): string[] {
  return [
    ...[r.case, r.pass, r.variant, digits(r.ms), percent(r.spread), digits(r.gflops), digits(r.gbps)],
    ...[
      percent(r.fraction_of_ceiling),
      digits(r.naive_ms),
      r.speedup === null ? '' : `${digits(r.speedup)}x`,
    ],
  ];
}

function line(cells: readonly string[]): string {
  return cells.map((cell, i) => (i < 3 ? cell.padEnd(WIDTHS[i]) : cell.padStart(WIDTHS[i]))).join(' ');
}

export const tableHead = `${line(HEAD)}\n${WIDTHS.map((w) => '-'.repeat(w)).join(' ')}`;

/** A result as a line of the table; a wrong one says so and has no time. */
export function tableLine(r: Result): string {
  if (r.wrong) return `${line([r.case, r.pass, r.variant]).trimEnd()} ERROR: wrong result, ${r.wrong}`;
  return line(cellsOf(r)).trimEnd();
}

/** The head of a Markdown table. */
const RULES = HEAD.map((_, i) => (i < 3 ? ' --- ' : ' ---: '));
export const markdownHead = `| ${HEAD.join(' | ')} |\n|${RULES.join('|')}|`;

export function markdownLine(r: Result): string {
  const cells = r.wrong ? [r.case, r.pass, r.variant, `wrong: ${r.wrong}`] : cellsOf(r);
  return `| ${cells.join(' | ')} |`;
}
