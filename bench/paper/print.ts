import type { CommonOptions, Recipe } from '../../model/recipe.ts';
import { type AssumptionName, SAID } from './assumptions.ts';
import { type Estimate, grouped, sameWork, sumsOf, type Totals } from './estimate.ts';
import { giga, ms, percent, table, times, titleOf, why } from './format.ts';
import type { Rates } from './time.ts';

/** Everything that is printed of an iteration. */
export interface Report {
  readonly recipe: Recipe;
  readonly config: CommonOptions;
  readonly rates: Rates;
  readonly launches: readonly Estimate[];
  readonly totals: Totals;
  /** Operations by definition, by label. */
  readonly direct: ReadonlyMap<string, number>;
}

/** Share of an iteration from which a line of its own is worth it. */
const WORTH = 0.004;

/** A table of launches by what `keyOf` says of them; those that take next to nothing share a line. */
function byKey(report: Report, keyOf: (e: Estimate) => string, direct?: (key: string) => number): string[] {
  const { launches, totals } = report;
  const groups = grouped(launches, keyOf, (e) => e.ms);
  const row = (name: string, list: readonly Estimate[], keys: readonly string[]) => {
    const sums = sumsOf(list);
    return [
      ...[name, `${sums.launches}`, giga(sums.flops), giga(sums.useful)],
      ...(direct ? [giga(keys.reduce((total, key) => total + direct(key), 0))] : []),
      ...[giga(sums.bytes), ms(sums.roofline_ms), ms(sums.ms)],
      ...[percent(sums.ms / totals.ms), percent(sums.roofline_ms / sums.ms)],
    ];
  };
  const shown = groups.filter(({ weight }) => weight >= WORTH * totals.ms);
  const small = groups.slice(shown.length);
  const others = small.flatMap(({ list }) => list);
  const keysOf = (list: typeof groups) => list.map(({ key }) => key);
  return table(
    [
      '',
      'launches',
      'GFLOP',
      'useful',
      ...(direct ? ['direct'] : []),
      'GB',
      'roofline',
      'ms',
      'share',
      'of it',
    ],
    [
      ...shown.map(({ key, list }) => row(key, list, [key])),
      ...(small.length > 0 ? [row(`${small.length} others`, others, keysOf(small))] : []),
      row('all', launches, keysOf(groups)),
    ],
  );
}

/** Launches that do the same are one line. */
function dearest({ launches, rates }: Report, top: number): string[] {
  const groups = grouped(launches, sameWork, (e) => e.ms).slice(0, top);
  const rows = groups.map(({ list, weight }) => {
    const [first] = list;
    const { groups: count, resident, rounds, own_ms, roofline_ms } = first;
    return [
      ...[titleOf(first, 43), `${list.length}x`, `${count}`],
      (count / (rates.card.cores * resident)).toFixed(1),
      rounds ? `${rounds.longest}` : '',
      ...[ms(first.ms), ms(weight), times(own_ms / roofline_ms), why(first)],
    ];
  });
  return [
    'Dearest launches. waves: workgroups over those that all cores hold; x roof: time alone over roofline.',
    ...table(['', 'number', 'groups', 'waves', 'rounds', 'each', 'ms', 'x roof', 'why'], rows),
  ];
}

function fewGroups({ launches, totals, rates }: Report): string[] {
  const { cores } = rates.card;
  const few = launches.filter(({ groups }) => groups < cores);
  const kernels = grouped(
    few,
    ({ kernel }) => kernel,
    (e) => e.ms,
  );
  const rows = kernels
    .filter(({ weight }) => weight >= WORTH * totals.ms)
    .map(({ key, list, weight }) => {
      const groups = list.map((e) => e.groups);
      return [key, `${list.length}`, `${Math.min(...groups)} to ${Math.max(...groups)}`, ms(weight)];
    });
  return [
    `${totals.few.launches} launches have fewer workgroups than the ${cores} cores; they take ` +
      `${ms(totals.few.ms)} ms, most of it these:`,
    ...table(['', 'launches', 'groups', 'ms'], rows),
  ];
}

function headLines({ recipe, config, rates, totals: t, direct }: Report): string[] {
  const { card, assumed } = rates;
  const sums = [...direct.values()].reduce((a, b) => a + b, 0);
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  return [
    `${recipe.title} ${recipe.describe(config)}: one iteration on paper`,
    `${card.name}: ${card.tflops} TFLOP/s, ${card.gbps} GB/s, ${card.cores} cores, ` +
      `cache ${card.cacheMib} MiB`,
    `(${card.source})`,
    '',
    `modelled   ${ms(t.ms)} ms: launches alone ${ms(t.own_ms)}, waits between them ${ms(t.gap_ms)}`,
    `roofline   ${ms(t.roofline_ms)} ms: the same results of the same operands cannot take less`,
    `operations ${giga(t.flops)} GFLOP run, ${giga(t.useful)} of use; ${giga(sums)} by direct sums`,
    `bytes      ${giga(t.bytes)} GB touched, ${giga(t.missed)} of them in memory, the others in the cache`,
    `launches   ${t.launches} of ${t.pipelines} pipelines; intermediates take ${gib(t.plan_bytes)}`,
    `waits      ${t.waits_placed} launches wait for those before, as Dawn has it; ` +
      `${t.waits_needed} would for their data`,
    `short      ${t.short.launches} launches take less than such a wait (${assumed.gapUs} us); ` +
      `with it ${ms(t.short.ms)} ms`,
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
    'By op. GFLOP: operations run, edges of tiles included; direct: of convolutions as sums;',
    'of it: what the roofline is of the time.',
    ...byKey(
      report,
      ({ launch }) => launch.label,
      (label) => direct.get(label) ?? 0,
    ),
    '',
    'By kernel.',
    ...byKey(report, ({ kernel }) => kernel),
    '',
    ...(top > 0 ? [...dearest(report, top), ''] : []),
    ...fewGroups(report),
    '',
    ...assumptionLines(report),
  ].join('\n');
}
