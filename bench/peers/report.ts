import { digits } from '../report/table.ts';
import { COMPARED } from './cases.ts';
import type { FrameworkSpec } from './frameworks.ts';
import type { Hello } from './protocol.ts';
import type { PeerResult } from './race.ts';

/** A framework that took part, or why it did not. */
export interface Participant extends Pick<FrameworkSpec, 'name' | 'title'> {
  readonly hello: Hello | null;
  readonly missing: string | null;
}

/** What the numbers were measured on. */
export interface PeerHeader {
  readonly adapter: string;
  readonly driver: string;
  readonly dawn: string;
  readonly processor: string;
  readonly cores: number;
  readonly load: readonly [start: number, end: number];
  readonly date: string;
  readonly commit: string;
  readonly node: string;
  readonly rounds: number;
  readonly budget_ms: number;
  readonly took_s: number;
}

export interface PeerReport {
  readonly header: PeerHeader;
  readonly frameworks: readonly Participant[];
  readonly results: readonly PeerResult[];
}

/** A case with what each framework made of it. */
interface Row {
  readonly name: string;
  readonly pass: string;
  readonly by: ReadonlyMap<string, PeerResult>;
}

const OWN = 'adawn';

/** The results case by case, in the order they were measured. */
export function rowsOf(results: readonly PeerResult[]): Row[] {
  const rows = new Map<string, { name: string; pass: string; by: Map<string, PeerResult> }>();
  for (const r of results) {
    const key = `${r.case} ${r.pass}`;
    if (!rows.has(key)) rows.set(key, { name: r.case, pass: r.pass, by: new Map() });
    rows.get(key)!.by.set(r.framework, r);
  }
  return [...rows.values()];
}

/** How many times the peer's time adawn's is smaller: above 1 adawn is the faster one. */
export function ratio(row: Row, peer: string, of: 'ms' | 'ms_min' = 'ms'): number | null {
  const [own, other] = [row.by.get(OWN)?.[of], row.by.get(peer)?.[of]];
  return own && other ? other / own : null;
}

const present = ({ frameworks }: PeerReport) => frameworks.filter(({ hello }) => hello !== null);
const peersOf = (report: PeerReport) => present(report).filter(({ name }) => name !== OWN);

const time = (r: PeerResult | undefined, of: 'ms' | 'ms_min') =>
  r?.problem ? 'no time' : digits(r?.[of] ?? null);
const times = (value: number | null) =>
  value === null ? '' : `${value >= 100 ? value.toFixed(0) : value.toPrecision(2)}x`;

/** Head and lines of the main table: times, then adawn against each peer. */
function timeTable(report: PeerReport, of: 'ms' | 'ms_min'): string[][] {
  const all = present(report);
  const peers = all.some(({ name }) => name === OWN) ? peersOf(report) : [];
  return [
    ['case', 'pass', ...all.map(({ name }) => `${name} ms`), ...peers.map(({ name }) => `against ${name}`)],
    ...rowsOf(report.results).map((row) => [
      row.name,
      row.pass,
      ...all.map(({ name }) => time(row.by.get(name), of)),
      ...peers.map(({ name }) => times(ratio(row, name, of))),
    ]),
  ];
}

/** Rates and differences. */
function checkTable(report: PeerReport): string[][] {
  const all = present(report);
  return [
    [
      ...['case', 'pass'],
      ...all.map(({ name }) => `${name} GFLOP/s`),
      ...all.slice(1).map(({ name }) => `${name} differs by`),
      'samples',
    ],
    ...rowsOf(report.results).map((row) => [
      ...[row.name, row.pass],
      ...all.map(({ name }) => digits(row.by.get(name)?.gflops ?? null)),
      ...all.slice(1).map(({ name }) => row.by.get(name)?.difference?.toExponential(1) ?? ''),
      all.map(({ name }) => row.by.get(name)?.samples ?? 0).join(', '),
    ]),
  ];
}

/** What has no time, and why. */
export function problemsOf({ results }: PeerReport): string[] {
  return results.filter((r) => r.problem).map((r) => `${r.case} ${r.pass}, ${r.framework}: ${r.problem}`);
}

/** The table for a terminal. */
export function printReport(report: PeerReport): string {
  const [head, ...lines] = timeTable(report, 'ms');
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((cells) => cells[i].length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  const rule = widths.map((w) => '-'.repeat(w)).join('  ');
  const problems = problemsOf(report).map((text) => `no time: ${text}`);
  return [line(head), rule, ...lines.map(line), ...problems].join('\n');
}

function markdownTable([head, ...lines]: string[][]): string[] {
  const rule = head.map((_, i) => (i < 2 ? '---' : '---:'));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`);
}

function headTable({ header: h, frameworks }: PeerReport): string[] {
  const who = ({ hello, missing }: Participant) =>
    hello
      ? [hello.version, ...Object.entries(hello.details).map(([k, v]) => `${k} ${v}`)].join(', ')
      : missing!;
  const [start, end] = h.load.map((load) => load.toFixed(1));
  const busy =
    h.load[0] > h.cores / 2
      ? ': **other work had the cores too: times are too long, ratios rough; repeat it on a quiet machine**'
      : '';
  const lines = [
    ['adapter', h.adapter],
    ['driver', h.driver],
    ['Dawn', `npm webgpu ${h.dawn}, the same for all on WebGPU`],
    ...frameworks.map((f) => [f.title, who(f)]),
    ['machine', `${h.processor}, ${h.cores} cores, Node ${h.node}`],
    ['load', `${start} before the start, ${end} at the end (this run alone makes about ${h.cores})${busy}`],
    ['measured', `${h.date.slice(0, 16).replace('T', ' ')} UTC, commit ${h.commit}, in ${h.took_s} s`],
  ];
  return ['| | |', '| --- | --- |', ...lines.map((cells) => `| ${cells.join(' | ')} |`)];
}

/** How the numbers came about, for readers who doubt them. */
const method = (h: PeerHeader, reference: string) => `
Each framework lives in a process of its own for the whole run. All get the same inputs and weights, and
all results are compared with those of ${reference}: outputs and gradients; of the iteration both losses
of the first ${COMPARED} iterations, with the updates between them. The largest ‖difference‖ / ‖reference‖
of any result is printed below; one that is too large has no time. Then the frameworks take turns, a
sample each, every round beginning with another one, so that a busy moment of the machine meets all of
them; who waits takes no processor time. There are ${h.rounds} rounds; a framework that has used
${h.budget_ms / 1000} s on a case is left out of the rest, after two samples at least. Short runs are
repeated within a sample. A sample ends when the queue is drained; of the iteration, when the losses are
on the host. Compiling does not count, recording and submitting does.

\`forward\` is the layer alone, \`training\` forward and the gradients of all its inputs, \`iteration\` a
training step of U-GAT-IT with both optimisers. adawn replays recorded programs, jax-js runs \`jit\`
functions, TensorFlow.js and PyTorch run operation by operation.

- Dawn's Node binding polls while it waits, and takes a core from a processor that plays a GPU. adawn
  sleeps most of the expected time first; the other two are made to do the same.
- PyTorch's threads sleep instead of spinning while they wait (\`OMP_WAIT_POLICY=PASSIVE\`), which makes it
  much faster where other work shares the cores.
- TensorFlow.js's own gradient of \`mirrorPad\` is wrong (it forgets that mirrored pixels count too), so it
  gets a right one, written with its operations. jax-js pads with zeros only: reflection is made of slices.
- Adam, losses and networks are written with each framework's own operations (bench/peers/workers). adawn,
  PyTorch and jax-js use each translation in both steps of the iteration; TensorFlow.js's tape ends with
  the function it differentiates, so it translates again.`;

/** The page for readers. */
export function markdownReport(report: PeerReport): string {
  const reference = present(report)[0]?.title ?? '';
  const problems = problemsOf(report).map((text) => `- ${text}`);
  return [
    `# adawn beside its peers: ${report.header.adapter}`,
    '',
    'Milliseconds, medians; `against`: how many times as long the peer takes (below 1 the peer is faster).',
    '',
    ...markdownTable(timeTable(report, 'ms')),
    '',
    ...(problems.length > 0 ? ['No time:', '', ...problems, ''] : []),
    ...headTable(report),
    '',
    'The best samples, which other work on the machine disturbs least:',
    '',
    ...markdownTable(timeTable(report, 'ms_min')),
    '',
    '## How it was measured',
    '',
    method(report.header, reference).trim(),
    '',
    'Written by `npm run bench:peers`; the records are in [peers.json](peers.json).',
    '',
    '## Rates, differences, samples',
    '',
    `GFLOP/s count the sums of the definition. Differences are from ${reference}.`,
    '',
    ...markdownTable(checkTable(report)),
    '',
  ].join('\n');
}
