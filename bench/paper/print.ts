import type { UgatitConfig } from '../../model/ugatit.ts';
import { type AssumptionName, SAID } from './assumptions.ts';
import { type Estimate, groupedBy, type Sums, sumsOf, type Totals } from './estimate.ts';
import type { Rates } from './time.ts';

/** Everything that is printed of an iteration. */
export interface Report {
  readonly config: UgatitConfig;
  readonly rates: Rates;
  readonly launches: readonly Estimate[];
  readonly totals: Totals;
  /** Operations by definition, by label. */
  readonly direct: ReadonlyMap<string, number>;
}

const giga = (n: number) => (n === 0 ? '' : n < 5e8 ? '<1' : (n / 1e9).toFixed(n < 1e10 ? 1 : 0));
const ms = (n: number) => n.toFixed(n >= 9.995 ? 1 : n >= 0.0995 || n === 0 ? 2 : 3);
const percent = (share: number) => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;

/** A table whose first column is text and the others numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)];
}

/** The part of a time that no better kernel for the same work could save. */
const reached = ({ ms: all, roofline_ms }: Sums) => percent(roofline_ms / all);

/** Lines of a table for groups that take a share of the time, and one for all others. */
function grouped(report: Report, keyOf: (e: Estimate) => string, direct?: (key: string) => number): string[] {
  const groups = groupedBy(report.launches, keyOf);
  const shown = groups.filter(({ sums }) => sums.ms >= 0.004 * report.totals.ms);
  const others = groups.filter((group) => !shown.includes(group));
  const row = (key: string, sums: Sums, own?: number) => [
    key,
    `${sums.launches}`,
    giga(sums.flops),
    giga(sums.useful),
    ...(direct ? [giga(own ?? 0)] : []),
    giga(sums.bytes),
    ms(sums.roofline_ms),
    ms(sums.ms),
    percent(sums.ms / report.totals.ms),
    reached(sums),
  ];
  const sum = (list: typeof groups) => list.reduce((total, { key }) => total + (direct?.(key) ?? 0), 0);
  const last = (name: string, list: typeof groups) =>
    row(name, sumsOf(list.flatMap((group) => group.list)), sum(list));
  const head = [
    'launches',
    'GFLOP',
    'useful',
    ...(direct ? ['direct'] : []),
    'GB',
    'roofline',
    'ms',
    'share',
    'bound',
  ];
  return table(
    ['', ...head],
    [
      ...shown.map(({ key, sums }) => row(key, sums, direct?.(key))),
      ...(others.length > 0 ? [last(`${others.length} others`, others)] : []),
      last('all', groups),
    ],
  );
}

const shapesOf = ({ launch }: Estimate) => {
  const shapes = launch.bindings.flatMap((t, i) =>
    t.label === 'integers' ? [] : [(launch.writes[i] ? '→' : '') + t.shape.join('x')],
  );
  return shapes.filter((shape, i) => shapes.indexOf(shape) === i).join(' ');
};

const times = (ratio: number) => (ratio > 99.5 ? '>99' : ratio.toFixed(1));
const shortened = (text: string, most: number) =>
  text.length <= most ? text : `${text.slice(0, most - 1)}…`;

/** Why a launch takes as long as it does, in two words. */
const WHY: Readonly<Partial<Record<AssumptionName, string>>> = {
  bandwidth: 'memory',
  cacheGbps: 'cache',
  memoryUs: 'loads',
  cacheUs: 'loads',
  gapUs: 'gap',
  roundUs: 'few groups',
};

function why({ bound: name, rounds }: Estimate): string {
  if (rounds?.unaligned) return `${rounds.size}, single`;
  return rounds && name === 'roundUs' ? `${rounds.size}, few` : (WHY[name] ?? name);
}

/** Launches that do the same are one line. */
function dearest({ launches, rates }: Report, top: number): string[] {
  const keyOf = (e: Estimate) =>
    [e.kernel, e.groups, shapesOf(e), why(e), e.own_ms.toFixed(4), e.launch.label].join(' ');
  const rows = groupedBy(launches, keyOf)
    .slice(0, top)
    .map(({ list: [first], sums }) => [
      shortened(`${first.launch.label}  ${shapesOf(first)}`, 43),
      `${sums.launches}x`,
      `${first.groups}`,
      (first.groups / (rates.card.cores * first.resident)).toFixed(1),
      first.rounds ? `${first.rounds.longest}` : '',
      ms(first.ms),
      ms(sums.ms),
      times(first.own_ms / first.roofline_ms),
      why(first),
    ]);
  const head = ['', 'number', 'groups', 'waves', 'rounds', 'each', 'ms', 'x roof', 'why'];
  return table(head, rows);
}

function fewGroups({ launches, totals, rates }: Report): string[] {
  const { cores } = rates.card;
  const few = launches.filter(({ groups }) => groups < cores);
  const rows = groupedBy(few, ({ kernel }) => kernel)
    .filter(({ sums }) => sums.ms >= 0.004 * totals.ms)
    .map(({ key, list, sums }) => {
      const groups = list.map((e) => e.groups);
      const range = `${Math.min(...groups)} to ${Math.max(...groups)}`;
      return [key, `${sums.launches}`, range, ms(sums.ms)];
    });
  const { launches: count, ms: time } = totals.few;
  return [
    `${count} launches have fewer workgroups than the ${cores} cores; they take ${ms(time)} ms, most of it these:`,
    ...table(['', 'launches', 'groups', 'ms'], rows),
  ];
}

function headLines({ config, rates, totals: t }: Report): string[] {
  const { card, assumed } = rates;
  const { light, size, ch, nRes, batch, disLayers } = config;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  return [
    `U-GAT-IT ${light ? 'light' : 'full'} ${size}x${size}, ch ${ch}, n-res ${nRes}, dis-layers ${disLayers}, ` +
      `batch ${batch}: one iteration on paper`,
    `${card.name}: ${card.tflops} TFLOP/s, ${card.gbps} GB/s, ${card.cores} cores, ` +
      `cache ${card.cacheMib} MiB`,
    `(${card.source})`,
    '',
    `modelled   ${ms(t.ms)} ms: launches alone ${ms(t.own_ms)}, waits between them ${ms(t.gap_ms)}`,
    `roofline   ${ms(t.roofline_ms)} ms: the same results of the same operands cannot take less`,
    `operations ${giga(t.flops)} GFLOP run, ${giga(t.useful)} of use; ${giga(t.direct)} by direct sums`,
    `bytes      ${giga(t.bytes)} GB touched, ${giga(t.missed)} of them in memory, the others in the cache`,
    `launches   ${t.launches} of ${t.pipelines} pipelines; intermediates take ${gib(t.plan_bytes)}`,
    `waits      ${t.waits_placed} launches wait for those before (Dawn), ${t.waits_needed} would for their data`,
    `short      ${t.short.launches} launches take less than a wait (${assumed.gapUs} us); with it ${ms(t.short.ms)} ms`,
    `host       ${ms(t.host_ms)} ms of encoding, hidden while it stays below the GPU's time`,
  ];
}

function assumptionLines({ rates: { card, assumed } }: Report): string[] {
  const names = Object.keys(SAID) as AssumptionName[];
  const own = (name: AssumptionName) => (card.assume?.[name] === undefined ? '' : ' (this card)');
  return ['assumed:', ...names.map((name) => `  ${SAID[name](assumed[name])}${own(name)}`)];
}

function unknownLines({ totals, launches }: Report): string[] {
  const lines = totals.unknown.map((name) => {
    const count = launches.filter(({ kernel }) => kernel === name).length;
    return `warning: no rule for ${name} (${count} launches): counted as if it loaded once what it binds`;
  });
  return lines.length > 0 ? [...lines, 'warning: rules are in bench/paper/rules.ts', ''] : [];
}

/** The report for people; `top` launches one by one. */
export function printReport(report: Report, top: number): string {
  const { direct } = report;
  return [
    ...unknownLines(report),
    ...headLines(report),
    '',
    'By op. GFLOP: operations run, edges of tiles included; direct: of convolutions as sums; of it: roofline / ms.',
    ...grouped(
      report,
      ({ launch }) => launch.label,
      (label) => direct.get(label) ?? 0,
    ),
    '',
    'By kernel.',
    ...grouped(report, ({ kernel }) => kernel),
    '',
    'Dearest launches. waves: workgroups over those that all cores hold; x roof: time alone over roofline.',
    ...dearest(report, top),
    '',
    ...fewGroups(report),
    '',
    ...assumptionLines(report),
  ].join('\n');
}
