import { readFileSync } from 'node:fs';
import { UsageError } from '../../cli/common/run.ts';
import type { Recipe } from '../../model/recipe.ts';
import { DEFAULT_RECIPE } from '../../model/recipes.ts';
import type { LaunchFile, LaunchRow } from '../launchFile.ts';
import type { AssumptionName } from './assumptions.ts';
import { CARDS, type Card } from './cards.ts';
import type { Estimate } from './estimate.ts';
import { type Rates, roundSeconds } from './time.ts';

/** A launch on paper beside the same one measured. */
export interface Pair {
  readonly paper: Estimate;
  readonly measured: LaunchRow;
}

/** Launches that were found on both sides, and how many were not. */
export interface Paired {
  readonly pairs: readonly Pair[];
  readonly onlyPaper: number;
  readonly onlyMeasured: number;
}

/**
 * @throws UsageError where the file is none of `bench step --launches`, was measured on a processor, or is of
 * another recipe.
 */
export function readLaunches(file: string, recipe: Recipe): LaunchFile {
  let found: Partial<LaunchFile>;
  try {
    found = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--against ${file}: ${(error as Error).message}`);
  }
  if (!Array.isArray(found.rows) || !found.config || !found.ceilings) {
    throw new UsageError(`--against ${file}: is none of those that \`bench step --launches FILE\` writes`);
  }
  if (found.is_cpu) {
    throw new UsageError(
      `--against ${file}: ${found.driver} is a processor, which runs other kernels than a GPU: ` +
        'measure on a GPU',
    );
  }
  const { recipe: measured = DEFAULT_RECIPE } = found;
  if (measured !== recipe.name) {
    throw new UsageError(
      `--against ${file}: is of ${measured}, not of ${recipe.name}: choose it with --model`,
    );
  }
  return found as LaunchFile;
}

const signature = (kernel: string | null, constants: unknown, shapes: unknown) =>
  `${kernel} ${JSON.stringify(constants)} ${JSON.stringify(shapes)}`;

/** Pairs the same kernels with the same constants and shapes, in order. */
export function paired(launches: readonly Estimate[], rows: readonly LaunchRow[]): Paired {
  const waiting = new Map<string, Estimate[]>();
  for (const paper of launches) {
    const { kernel, bindings } = paper.launch;
    const key = signature(
      paper.kernel,
      kernel?.constants,
      bindings.map(({ shape }) => shape),
    );
    const known = waiting.get(key);
    if (known) known.push(paper);
    else waiting.set(key, [paper]);
  }
  const pairs = rows.flatMap((measured): Pair[] => {
    const paper = waiting.get(signature(measured.kernel, measured.constants, measured.shapes))?.shift();
    return paper ? [{ paper, measured }] : [];
  });
  return { pairs, onlyPaper: launches.length - pairs.length, onlyMeasured: rows.length - pairs.length };
}

/** An assumption and what the measurement says of it. */
export interface Verdict {
  readonly name: AssumptionName;
  readonly assumed: number;
  readonly found: number;
  /** Launches whose time rests on it; 0 where a ceiling was measured instead. */
  readonly launches: number;
  readonly paper_ms: number;
  readonly measured_ms: number;
  readonly off: boolean;
}

/** An assumption is off when what was found is so many times as large or as small. */
const OFF = 1.25;
/** Share of the iteration below which launches judge no assumption: a few may have any reason. */
const WORTH = 0.01;

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

type Judged = Omit<Verdict, 'off' | 'assumed'>;

/** Launches beside which a gap can be told, at least. */
const ENOUGH = 8;

/** The gap that short launches show, in milliseconds. */
function gapOf(pairs: readonly Pair[], assumedUs: number): number {
  const short = pairs.filter(({ paper }) => paper.bound === 'gapUs' && paper.placed);
  if (short.length < ENOUGH) return assumedUs / 1e3;
  return Math.max(0, median(short.map(({ paper, measured }) => measured.ms - paper.own_ms)));
}

/** roundUs from one launch whose rounds take `ms`, where its workgroups do not fill the cores. */
function roundUsOf(rates: Rates, { paper }: Pair, own_ms: number): number {
  const { resident, groups } = paper;
  const rounds = paper.rounds!;
  const sharing = Math.min(resident, Math.ceil(groups / rates.card.cores));
  const at = (roundUs: number) => {
    const other = { ...rates, assumed: { ...rates.assumed, roundUs } };
    return roundSeconds(other, rounds, sharing, resident);
  };
  // A straight line in roundUs.
  const slope = at(rates.assumed.roundUs) - at(0);
  const wanted = own_ms / 1e3 / Math.max(1, rounds.longest);
  return slope > 0 ? Math.max(0, ((wanted - at(0)) / slope) * rates.assumed.roundUs) : Number.NaN;
}

/** Assumptions that a time falls with when they grow: shares and rates. The others are times and factors. */
const RATES = new Set<AssumptionName>(['small', 'tall', 'large', 'bandwidth', 'cacheGbps']);

function judged(rates: Rates, name: AssumptionName, pairs: readonly Pair[], gap: number): Judged {
  const sum = (of: (pair: Pair) => number) => pairs.reduce((total, pair) => total + of(pair), 0);
  const own = ({ paper, measured }: Pair) => Math.max(0, measured.ms - (paper.placed ? gap : 0));
  const ratio = sum(own) / sum(({ paper }) => paper.own_ms);
  const assumed = rates.assumed[name];
  let found = RATES.has(name) ? assumed / ratio : assumed * ratio;
  if (name === 'gapUs') found = gap * 1e3;
  if (name === 'roundUs') found = median(pairs.map((pair) => roundUsOf(rates, pair, own(pair))));
  return {
    name,
    found,
    launches: pairs.length,
    paper_ms: sum(({ paper }) => paper.ms),
    measured_ms: sum(({ measured }) => measured.ms),
  };
}

/** What the ceilings say: measured by kernels that do nothing else. */
function fromCeilings({ card }: Rates, { ceilings }: LaunchFile): Judged[] {
  const none = { launches: 0, paper_ms: 0, measured_ms: 0 };
  return [
    { name: 'arithmetic', found: ceilings.gflops / (card.tflops * 1e3), ...none },
    { name: 'bandwidth', found: ceilings.gbps / card.gbps, ...none },
    { name: 'gapUs', found: ceilings.launch_us, ...none },
  ];
}

/** Every assumption that launches rest on, and the ceilings, dearest first. */
export function verdictsOf(rates: Rates, pairs: readonly Pair[], file: LaunchFile): Verdict[] {
  const gap = gapOf(pairs, rates.assumed.gapUs);
  const names = [...new Set(pairs.map(({ paper }) => paper.bound))];
  const all = names.map((name) =>
    judged(
      rates,
      name,
      pairs.filter(({ paper }) => paper.bound === name),
      gap,
    ),
  );
  all.sort((a, b) => b.measured_ms - a.measured_ms);
  const least = WORTH * all.reduce((sum, { measured_ms }) => sum + measured_ms, 0);
  return [...fromCeilings(rates, file), ...all].map((verdict) => {
    const { name, found, launches, paper_ms, measured_ms } = verdict;
    const times = found / rates.assumed[name];
    const matters = launches === 0 || Math.max(paper_ms, measured_ms) >= least;
    return { ...verdict, assumed: rates.assumed[name], off: matters && (times > OFF || times < 1 / OFF) };
  });
}

/**
 * A card file that assumes what was found. What launches show goes before a ceiling. Shares of tiles are
 * shares of the arithmetic assumed, so that one stays.
 */
export function cardFromVerdicts(name: string, card: Card, verdicts: readonly Verdict[]): string {
  const shown = new Set(verdicts.filter(({ launches, off }) => launches > 0 && off).map(({ name }) => name));
  const kept = verdicts.filter(
    ({ name, launches, off, found }) =>
      off &&
      found > 0 &&
      Number.isFinite(found) &&
      name !== 'arithmetic' &&
      (launches > 0 || !shown.has(name)),
  );
  const assume = Object.fromEntries(kept.map(({ name, found }) => [name, Number(found.toPrecision(3))]));
  return JSON.stringify(
    name in CARDS ? { like: name, assume } : { ...card, assume: { ...card.assume, ...assume } },
  );
}
