import { writeFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import { addRecipeFlags, modelFlag, recipeOptions } from '../../cli/common/recipeFlags.ts';
import { wholeNumber } from '../../cli/common/run.ts';
import type { Precision, Variants } from '../../engine/index.ts';
import { useTuned } from '../../engine/node.ts';
import { type CommonOptions, checkOptions, defaultsOf, type Recipe } from '../../model/recipe.ts';
import { forceable, forcedOf } from '../force.ts';
import { paired, readLaunches } from './against.ts';
import { CARDS, type Card, cardOf } from './cards.ts';
import { directFlops, estimateLaunches, totalsOf } from './estimate.ts';
import { deviceOnPaper, recordIteration } from './launches.ts';
import { printReport, type Report } from './print.ts';
import { printAgainst } from './printAgainst.ts';
import { ratesOf } from './time.ts';

/** Options of `npm run bench -- paper`. */
export const paperOptions = (recipe: Recipe) => (command: Argv) =>
  addRecipeFlags(command, recipe)
    .option('card', {
      string: true,
      default: 'h100',
      describe: `${Object.keys(CARDS).join(', ')}, or a JSON file ({"like": "h100", "gbps": 4000})`,
    })
    .option('model', modelFlag())
    .option('against', {
      string: true,
      describe: 'a file of `step --launches FILE`: that iteration, measured and on paper',
    })
    .option('force', { string: true, describe: `ways nobody has chosen from yet: ${forceable}` })
    .option('top', { number: true, default: 25, describe: 'launches to list' })
    .example('$0 paper', 'where an H100 would spend an iteration of the light model at 256x256')
    .example('$0 paper --card m2 --size 128', 'the same of an Apple M2, smaller pictures')
    .example('$0 paper --size 64 --ch 16 --top 50 --json paper.json', 'every launch as JSON')
    .example(
      '$0 paper --against launches.json',
      'a measured iteration beside the paper: which assumptions are off',
    )
    .example('$0 paper --card mine.json', 'a card of your own, as a JSON file describes it');

type PaperArgs = Awaited<ReturnType<ReturnType<typeof paperOptions>>['argv']> & {
  readonly json?: string;
  readonly precision?: Precision;
};

/** What of a run decides which launches it records. */
interface RunOf {
  readonly config: CommonOptions;
  readonly precision?: Precision;
  /** Ways that were forced, and the tuner's choices. */
  readonly variants?: Variants;
  readonly tuned?: Readonly<Record<string, string>>;
}

/** Records an iteration for that card and says what to expect of it. */
export async function paperReport(card: Card, recipe: Recipe, run: RunOf): Promise<Report> {
  const { config, precision, variants = {}, tuned = {} } = run;
  const paper = await deviceOnPaper(card, precision);
  paper.variants = variants;
  useTuned(paper, tuned);
  const rates = ratesOf(card);
  const iteration = recordIteration(paper, recipe, config);
  const launches = estimateLaunches(rates, iteration);
  const totals = totalsOf(rates, launches, iteration.plan.bytes);
  return { recipe, config, rates, launches, totals, direct: directFlops(paper, recipe, config) };
}

/** The report for programs. */
export function jsonOf({ recipe, config, rates, launches, totals, direct }: Report): object {
  const rows = launches.map(({ launch, traffic, rounds, ...numbers }) => ({
    label: launch.label,
    ...numbers,
    ...traffic,
    tile: rounds?.size ?? null,
    rounds: rounds?.longest ?? 0,
    grid: launch.grid,
    constants: launch.kernel?.constants,
    shapes: launch.bindings.map(({ shape }) => shape),
    writes: launch.writes,
  }));
  const { card, assumed } = rates;
  return {
    card,
    assumed,
    recipe: recipe.name,
    config,
    totals,
    direct: Object.fromEntries(direct),
    launches: rows,
  };
}

/** `npm run bench -- paper`. */
export async function paper(recipe: Recipe, args: PaperArgs): Promise<void> {
  const top = wholeNumber('top', args.top, 0);
  const card = cardOf(args.card);
  const file = args.against === undefined ? null : readLaunches(args.against, recipe);
  const own = {
    config: recipeOptions(recipe, args, defaultsOf(recipe)),
    precision: args.precision,
    variants: forcedOf(args.force),
  };
  checkOptions(recipe, (file ?? own).config);
  const report = await paperReport(card, recipe, file ?? own);
  if (file) {
    const pairs = paired(report.launches, file.rows);
    console.log(printAgainst(report.rates, args.card, pairs, file, top));
  } else {
    console.log(printReport(report, top));
  }
  if (args.json) writeFileSync(args.json, `${JSON.stringify(jsonOf(report), null, 1)}\n`);
}
