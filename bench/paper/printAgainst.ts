import type { LaunchFile } from '../launchFile.ts';
import { cardFromVerdicts, type Pair, type Paired, type Verdict, verdictsOf } from './against.ts';
import { NAMED } from './assumptions.ts';
import { grouped, sameWork } from './estimate.ts';
import { ms, table, times, titleOf, why } from './format.ts';
import type { Rates } from './time.ts';

const sum = (pairs: readonly Pair[], of: (pair: Pair) => number) =>
  pairs.reduce((total, pair) => total + of(pair), 0);

const sides = (pairs: readonly Pair[]) => ({
  paper: sum(pairs, ({ paper }) => paper.ms),
  measured: sum(pairs, ({ measured }) => measured.ms),
});

const ratio = (measured: number, paper: number) => times(paper > 0 ? measured / paper : 0);

function byKernel(pairs: readonly Pair[]): string[] {
  const groups = grouped(
    pairs,
    ({ paper }) => paper.kernel,
    ({ measured }) => measured.ms,
  );
  const row = (name: string, list: readonly Pair[]) => {
    const { paper, measured } = sides(list);
    return [name, `${list.length}`, ms(paper), ms(measured), ratio(measured, paper)];
  };
  const least = 0.004 * sides(pairs).measured;
  const worth = ({ paper, measured }: ReturnType<typeof sides>) => Math.max(paper, measured) >= least;
  const shown = groups.filter(({ list }) => worth(sides(list)));
  return table(
    ['', 'launches', 'paper', 'measured', 'ratio'],
    [...shown.map(({ key, list }) => row(key, list)), row('all', pairs)],
  );
}

/** Launches that do the same are one line; those first that are furthest off in milliseconds. */
function furthest(pairs: readonly Pair[], top: number): string[] {
  const groups = grouped(
    pairs,
    ({ paper }) => sameWork(paper),
    ({ measured, paper }) => measured.ms - paper.ms,
  );
  const off = groups.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, top);
  const rows = off.map(({ list, weight }) => {
    const { paper, measured } = sides(list);
    const [{ paper: first }] = list;
    const each = [paper / list.length, measured / list.length].map(ms);
    return [titleOf(first, 48), `${list.length}x`, ...each, ratio(measured, paper), ms(weight), why(first)];
  });
  return table(['', 'number', 'paper', 'measured', 'ratio', 'more', 'why'], rows);
}

const number = (value: number) => (Number.isFinite(value) ? `${Number(value.toPrecision(3))}` : '?');

function verdictLines(verdicts: readonly Verdict[]): string[] {
  const rows = verdicts.map(({ name, launches, paper_ms, measured_ms, assumed, found, off }) => [
    `${off ? 'OFF' : 'ok '} ${NAMED[name] ?? name}`,
    ...(launches > 0 ? [`${launches}`, ms(paper_ms), ms(measured_ms)] : ['', '', 'ceiling']),
    ...[number(assumed), number(found)],
  ]);
  return table(['', 'launches', 'paper', 'measured', 'assumed', 'found'], rows);
}

/** The paper's times beside measured ones, and which assumptions are off. `card` is what `--card` says. */
export function printAgainst(
  rates: Rates,
  card: string,
  { pairs, onlyPaper, onlyMeasured }: Paired,
  file: LaunchFile,
  top: number,
): string {
  const verdicts = verdictsOf(rates, pairs, file);
  const off = verdicts.filter((verdict) => verdict.off);
  const { paper, measured } = sides(pairs);
  const toggles = file.toggles.length > 0 ? `, toggles ${file.toggles.join(',')}` : '';
  return [
    `measured  ${file.device} (${file.driver})${toggles}, commit ${file.commit}`,
    `on paper  ${rates.card.name}`,
    `iteration ${ms(file.iteration_ms)} ms, best ${ms(file.iteration_ms_min)}; host ${ms(file.host_ms)}; ` +
      `${file.pipelines} pipelines in ${(file.compile_ms / 1e3).toFixed(1)} s`,
    `launches  ${pairs.length} on both sides: ${ms(paper)} ms on paper, ${ms(measured)} measured ` +
      `(each alone, less ${(file.alone_ms * 1e3).toFixed(1)} us)`,
    ...(onlyPaper + onlyMeasured > 0
      ? [
          `warning: ${onlyPaper} launches are on paper only and ${onlyMeasured} in the file only: ` +
            'other kernels were measured',
        ]
      : []),
    '',
    ...byKernel(pairs),
    '',
    'Furthest off. more: measured less paper, all of them together.',
    ...furthest(pairs, top),
    '',
    'Assumptions, each with the launches whose time rests on it, and what these say it is:',
    ...verdictLines(verdicts),
    '',
    ...(off.length > 0
      ? [
          'a card file with what was found (--card FILE.json):',
          `  ${cardFromVerdicts(card, rates.card, verdicts)}`,
        ]
      : ['no assumption is off by more than a quarter']),
  ].join('\n');
}
