import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Header } from '../header.ts';
import type { Result } from '../types.ts';
import { type Picture, picturesOf } from './charts.ts';
import { markdownHead, markdownLine } from './table.ts';

/** What a run found out. */
export interface BenchReport {
  readonly header: Header;
  readonly results: readonly Result[];
}

/** How the numbers came about, for readers who doubt them. */
const METHOD = `Every case is compared with float64 before it is timed: whole results where that is
possible, 64 random elements of big convolutions, gradients along a random direction; whole
networks by small recordings of the authors' definition. A wrong result has no time. After
warm-up the kernel, its naive twin and both ceilings take turns; a time is the median of the
samples, \`spread\` the distance between the quartiles over the median. The share of a
ceiling is best sample against best sample of the same race. GFLOP/s count the sums of the
definition (a multiply-add is two), so a fast algorithm can exceed the ceiling. GB/s count
the least traffic: norms read their input twice and write once (backward: both inputs twice,
one written), Adam moves seven streams. \`training\` is forward and all gradients in one
program.`;

function headLines({ header: h }: BenchReport): string[] {
  const { ceilings: c } = h;
  return [
    `| | |\n| --- | --- |`,
    `| adapter | ${h.adapter} |`,
    `| driver | ${h.driver} |`,
    `| arithmetic ceiling | ${c.gflops} GFLOP/s (${c.fma_kernel}) |`,
    `| bandwidth ceiling | ${c.gbps} GB/s (copy, ${c.copy_kernel}) |`,
    `| a launch | ${c.launch_us} µs |`,
    `| features | ${h.features.filter((f) => /subgroup|f16|timestamp/.test(f)).join(', ')} |`,
    `| machine | ${h.cores} cores, load ${h.load} at the start, Node ${h.node} |`,
    `| measured | ${h.date.slice(0, 16).replace('T', ' ')} UTC, commit ${h.commit} |`,
    `| how | ${h.clock}, size ${h.size} |`,
  ];
}

function page(report: BenchReport, pictures: readonly Picture[]): string {
  const { header, results } = report;
  return [
    `# Benchmark: ${header.adapter}`,
    '',
    ...headLines(report),
    '',
    ...pictures.flatMap(({ file, alt }) => [`![${alt}](${file})`, '']),
    '## How it was measured',
    '',
    METHOD,
    '',
    'Written by `npm run bench`; the records are in [results.json](results.json).',
    '',
    '## Every result',
    '',
    markdownHead,
    ...results.map(markdownLine),
    '',
  ].join('\n');
}

/** Where the report of an adapter lies. */
export function resultsFolder(slug: string): string {
  return fileURLToPath(new URL(`../results/${slug}`, import.meta.url));
}

/** Writes results.json, README.md and the charts to a folder. */
export function writeReport(folder: string, report: BenchReport): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/results.json`, `${JSON.stringify(report, null, 1)}\n`);
  const pictures = picturesOf(report.results);
  for (const { file, svg } of pictures) writeFileSync(`${folder}/${file}`, svg);
  writeFileSync(`${folder}/README.md`, page(report, pictures));
}
